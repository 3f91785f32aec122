#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vm-backend/host/vm_launcher.h"

namespace catamaran {

// For tests: a machine that notes its disks and answers when told to.
class NotingMachine final : public VirtualMachine {
 public:
  UniqueFd TakeAgentChannel() override { return UniqueFd(); }
  UniqueFd TakeVolumeChannel() override { return UniqueFd(); }
  void AttachDisk(const VmDisk& disk, Done done) override {
    attached.push_back(disk);
    answers.push_back(std::move(done));
  }
  struct Device {
    UniqueFd fd;
    std::string serial;
    bool readonly = false;
  };
  void AttachDevice(UniqueFd device, const std::string& serial, bool readonly, Done done) override {
    devices.push_back({std::move(device), serial, readonly});
    answers.push_back(std::move(done));
  }
  void DetachDisk(const std::string& serial, Done done) override {
    detached.push_back(serial);
    done({});
  }
  void Rest(Done done) override { done({}); }
  void Claim(const spec::SandboxSpec&, Done done) override { done({}); }
  pod::PrepareSandboxResponse suits() const override { return {}; }
  void Kill(Done done) override { done({}); }
  void OnExit(UniqueFunction<void(MachineEnd)>) override {}
  bool shares_host_files() const override { return false; }
  std::string writable_disk_serial() const override { return ""; }
  std::map<std::string, std::string> details() const override { return {}; }

  std::vector<VmDisk> attached;
  std::vector<Device> devices;
  std::vector<std::string> detached;
  std::vector<Done> answers;
};

}  // namespace catamaran
