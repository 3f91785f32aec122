#pragma once

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
  HostPath folder;  // for disk descriptors; on a tmpfs, since they are written on the loop
};

// A running QEMU: its process, its monitor, its disks.
class QemuVm final : public VirtualMachine {
 public:
  static Result<std::unique_ptr<QemuVm>> Start(EventLoop& loop, const QemuStart& start);
  ~QemuVm() override;

  UniqueFd TakeAgentChannel() override { return std::move(agent_); }
  UniqueFd TakeVolumeChannel() override { return std::move(volumes_); }
  void AttachDisk(const VmDisk& disk, Done done) override;
  void DetachDisk(const std::string& serial, Done done) override;
  void Kill(Done done) override;
  void OnExit(UniqueFunction<void(std::string reason)> callback) override;
  bool shares_host_files() const override { return false; }
  std::string writable_disk_serial() const override { return writable_serial_; }
  std::map<std::string, std::string> details() const override { return details_; }

  // A raw image that the guest may write to; it is deleted with the machine.
  void AttachWritable(const HostPath& image, const std::string& serial, Done done);
  void SetDetail(const std::string& key, const std::string& value) { details_[key] = value; }
  // Deletes this file with the machine.
  void Owns(const HostPath& file) { owned_files_.insert(file); }
  QmpClient& monitor() { return *monitor_; }
  std::string ConsoleTail() { return console_->Tail(); }

 private:
  explicit QemuVm(EventLoop& loop) : loop_(loop) {}
  void Plug(const std::string& serial, const std::string& block_node, Done done);
  void Unplugged(const std::string& serial);
  void Ended(ProcessEnd end);
  int FreeTarget() const;

  EventLoop& loop_;
  HostPath folder_;
  UniqueFd agent_;
  UniqueFd volumes_;
  std::unique_ptr<ConsoleLog> console_;
  std::unique_ptr<QmpClient> monitor_;
  std::unique_ptr<VmmProcess> process_;
  std::map<std::string, int> targets_;  // SCSI target by serial
  std::map<std::string, Done> detaching_;
  std::string writable_serial_;
  std::set<HostPath> owned_files_;
  std::map<std::string, std::string> details_;
  bool killed_ = false;
  std::string ended_;  // why; empty while it runs
  std::vector<Done> waiting_for_end_;
  UniqueFunction<void(std::string)> on_exit_;
};

}  // namespace catamaran
