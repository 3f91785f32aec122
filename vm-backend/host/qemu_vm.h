#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "vm-backend/host/console_log.h"
#include "vm-backend/host/qemu_command.h"
#include "vm-backend/host/qmp_client.h"
#include "vm-backend/host/vm_launcher.h"
#include "vm-backend/host/vmm_process.h"

namespace catamaran {

// What a QEMU is started with besides its arguments. Descriptors are the launcher's to close.
struct QemuStart {
  QemuMachine machine;
  int tap = -1;
  int memory = -1;  // guest RAM, with a template
};

// A running QEMU: its process, its monitor, its disks. It is confined (VmmConfinement) and opens no
// disk by name: files are opened here and handed over, for reading only where the disk is.
class QemuVm final : public VirtualMachine {
 public:
  static Result<std::unique_ptr<QemuVm>> Start(EventLoop& loop, const QemuStart& start);

  UniqueFd TakeAgentChannel() override { return std::move(agent_); }
  UniqueFd TakeVolumeChannel() override { return std::move(volumes_); }
  void AttachDisk(const VmDisk& disk, Done done) override;
  void AttachDevice(UniqueFd device, const std::string& serial, bool readonly, Done done) override;
  void DetachDisk(const std::string& serial, Done done) override;
  void Rest(Done done) override;
  void Claim(const spec::SandboxSpec& sandbox, Done done) override;
  pod::PrepareSandboxResponse suits() const override { return suits_; }
  void Kill(Done done) override;
  void OnExit(UniqueFunction<void(MachineEnd end)> callback) override;
  bool shares_host_files() const override { return false; }
  std::string writable_disk_serial() const override { return writable_serial_; }
  std::map<std::string, std::string> details() const override { return details_; }

  // A raw image, open for reading and writing, that the guest may write to.
  void AttachWritable(UniqueFd image, const std::string& serial, Done done);
  // For a machine that waits: which pods it suits, and what else Claim is for one.
  using Claiming = UniqueFunction<Status(const spec::SandboxSpec&)>;
  void AwaitClaim(pod::PrepareSandboxResponse suits, Claiming claiming);
  void SetDetail(const std::string& key, const std::string& value) { details_[key] = value; }
  QmpClient& monitor() { return *monitor_; }
  std::string ConsoleTail() { return console_->Tail(); }

 private:
  explicit QemuVm(EventLoop& loop) : loop_(loop) {}
  // `files` become the file sets from next_set_ on, of which block_node speaks.
  void Plug(const std::string& serial, std::vector<UniqueFd> files, const std::string& block_node,
            Done done);
  void Unplugged(const std::string& serial);
  void Ended(ProcessEnd end);
  int FreeTarget() const;

  EventLoop& loop_;
  UniqueFd agent_;
  UniqueFd volumes_;
  std::unique_ptr<ConsoleLog> console_;
  std::unique_ptr<QmpClient> monitor_;
  std::unique_ptr<VmmProcess> process_;
  std::map<std::string, int> targets_;  // SCSI target by serial
  uint64_t next_set_ = 1;               // of files handed over
  std::map<std::string, Done> detaching_;
  std::string writable_serial_;
  std::map<std::string, std::string> details_;
  pod::PrepareSandboxResponse suits_;
  Claiming claiming_;
  std::chrono::steady_clock::time_point rests_since_;
  bool killed_ = false;
  std::string ended_;  // why; empty while it runs
  std::vector<Done> waiting_for_end_;
  UniqueFunction<void(MachineEnd)> on_exit_;
};

}  // namespace catamaran
