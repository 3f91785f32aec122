#include "vm-backend/host/qemu_vm.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "sandbox/base/files.h"
#include "sandbox/base/json_text.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/host/flat_disk.h"
#include "vm-backend/host/qemu_confinement.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr int kMostTargets = 256;  // of one virtio-scsi bus

std::string SetName(uint64_t set) { return fmt::format("/dev/fdset/{}", set); }

// The descriptor and the files it speaks of. The files are the image store's and ours: on a local
// disk, just used, and opened without waiting.
Result<std::vector<UniqueFd>> OpenDisk(const VmDisk& disk, const std::string& descriptor) {
  std::vector<UniqueFd> files;
  ASSIGN_OR_RETURN(UniqueFd text, FlatDiskFile(descriptor));
  files.push_back(std::move(text));
  for (const VmDisk::Extent& extent : disk.extents) {
    ASSIGN_OR_RETURN(UniqueFd file, OpenFile(extent.file.string(), O_RDONLY | O_NONBLOCK));
    files.push_back(std::move(file));
  }
  return files;
}

std::string DescriptionOf(const ProcessEnd& end) {
  if (end.signal != 0) return fmt::format("QEMU was killed by signal {}", end.signal);
  if (end.exit_code == 0) return "the machine stopped by itself";
  return fmt::format("QEMU ended with exit code {}", end.exit_code);
}

}  // namespace

Result<std::unique_ptr<QemuVm>> QemuVm::Start(EventLoop& loop, const QemuStart& start) {
  auto vm = std::unique_ptr<QemuVm>(new QemuVm(loop));
  ASSIGN_OR_RETURN(SocketPair monitor, MakeSocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(SocketPair console, MakeSocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(SocketPair agent, MakeSocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(SocketPair volumes, MakeSocketPair(SOCK_STREAM));
  VmmCommand command;
  command.arguments = QemuArguments(start.machine);
  command.confinement = QemuConfinement(start.machine);
  ASSIGN_OR_RETURN(command.confinement->user, VmmUser());
  // TCG asks for huge pages for its translations: all of their buffer would be resident at once.
  command.small_pages = start.machine.accelerator == Accelerator::kTcg;
  command.output = console.theirs.get();
  command.descriptors = {{kQemuMonitor, monitor.theirs.get()},
                         {kQemuConsole, console.theirs.get()},
                         {kQemuAgent, agent.theirs.get()},
                         {kQemuVolumes, volumes.theirs.get()}};
  if (start.tap >= 0) command.descriptors.push_back({kQemuTap, start.tap});
  if (start.memory >= 0) command.descriptors.push_back({kQemuMemory, start.memory});
  ASSIGN_OR_RETURN(vm->console_, ConsoleLog::Create(loop, std::move(console.ours)));
  ASSIGN_OR_RETURN(vm->process_, VmmProcess::Start(loop, command, [raw = vm.get()](ProcessEnd end) {
                     raw->Ended(end);
                   }));
  ASSIGN_OR_RETURN(vm->monitor_, QmpClient::Create(loop, std::move(monitor.ours)));
  vm->monitor_->OnEvent([raw = vm.get()](const std::string& name, const json& data) {
    if (name == "DEVICE_DELETED") raw->Unplugged(TextAt(data, "device"));
  });
  vm->agent_ = std::move(agent.ours);
  vm->volumes_ = std::move(volumes.ours);
  vm->details_["launcher"] = "qemu";
  vm->details_["accelerator"] = std::string(AcceleratorName(start.machine.accelerator));
  vm->details_["memory_bytes"] = std::to_string(start.machine.memory_bytes);
  vm->details_["vmm_pid"] = std::to_string(vm->process_->pid());
  return vm;
}

int QemuVm::FreeTarget() const {
  std::set<int> used;
  for (const auto& [serial, target] : targets_) used.insert(target);
  int target = 0;
  while (used.contains(target)) ++target;
  return target;
}

void QemuVm::AttachDisk(const VmDisk& disk, Done done) {
  const uint64_t first = next_set_ + 1;  // after the descriptor's own
  auto descriptor = FlatDiskDescriptor(disk, first);
  if (!descriptor) return done(tl::unexpected<Error>(std::move(descriptor).error()));
  auto opened = OpenDisk(disk, *descriptor);
  if (!opened) return done(tl::unexpected<Error>(std::move(opened).error()));
  const json node = {{"driver", "vmdk"},
                     {"node-name", disk.serial},
                     {"read-only", true},
                     {"file",
                      {{"driver", "file"},
                       {"filename", SetName(next_set_)},
                       {"read-only", true},
                       {"locking", "off"}}}};
  Plug(disk.serial, std::move(*opened), node.dump(), std::move(done));
}

void QemuVm::AttachWritable(UniqueFd image, const std::string& serial, Done done) {
  writable_serial_ = serial;
  // The disk dies with the machine, so its flushes need not reach the host's disk.
  const json node = {{"driver", "raw"},
                     {"node-name", serial},
                     {"discard", "unmap"},
                     {"cache", {{"no-flush", true}}},
                     {"file",
                      {{"driver", "file"},
                       {"filename", SetName(next_set_)},
                       {"locking", "off"},
                       {"discard", "unmap"},
                       {"cache", {{"no-flush", true}}}}}};
  std::vector<UniqueFd> files;
  files.push_back(std::move(image));
  Plug(serial, std::move(files), node.dump(), std::move(done));
}

void QemuVm::AttachDevice(UniqueFd device, const std::string& serial, bool readonly, Done done) {
  // A volume outlives the machine: what the guest flushes is flushed.
  const json node = {{"driver", "raw"},
                     {"node-name", serial},
                     {"read-only", readonly},
                     {"discard", "unmap"},
                     {"file",
                      {{"driver", "host_device"},
                       {"filename", SetName(next_set_)},
                       {"read-only", readonly},
                       {"locking", "off"},
                       {"discard", "unmap"}}}};
  std::vector<UniqueFd> files;
  files.push_back(std::move(device));
  Plug(serial, std::move(files), node.dump(), std::move(done));
}

void QemuVm::Plug(const std::string& serial, std::vector<UniqueFd> files,
                  const std::string& block_node, Done done) {
  const int target = FreeTarget();
  if (target >= kMostTargets || targets_.contains(serial))
    return done(Fail(ErrorCode::kResourceExhausted, "no place for the disk \"{}\": {} are attached",
                     serial, targets_.size()));
  targets_[serial] = target;
  const uint64_t first_set = next_set_;
  for (UniqueFd& file : files) monitor_->PassFile(next_set_++, std::move(file));
  // All at once: QEMU carries them out in order, and a failure of the first, which is the one that
  // says why, fails the second.
  auto first = std::make_shared<Result<json>>(json());
  monitor_->Execute("blockdev-add", json::parse(block_node),
                    [first](Result<json> added) { *first = std::move(added); });
  const json device = {{"driver", "scsi-hd"}, {"bus", kScsiBus},  {"scsi-id", target}, {"lun", 0},
                       {"drive", serial},     {"serial", serial}, {"id", serial}};
  monitor_->Execute("device_add", device,
                    [this, serial, first, done = std::move(done)](Result<json> added) mutable {
                      if (added) return done({});
                      targets_.erase(serial);
                      if (*first)
                        monitor_->Execute("blockdev-del", {{"node-name", serial}}, [](auto) {});
                      Error error = *first ? std::move(added).error() : std::move(*first).error();
                      done(tl::unexpected<Error>(
                          std::move(error).While(fmt::format("attach the disk {}", serial))));
                    });
  // The disk has its own copies, which end with it.
  for (uint64_t set = first_set; set < next_set_; ++set)
    monitor_->Execute("remove-fd", {{"fdset-id", set}}, [](auto) {});
}

void QemuVm::DetachDisk(const std::string& serial, Done done) {
  if (!targets_.contains(serial) || !ended_.empty()) return done({});
  detaching_[serial] = std::move(done);
  monitor_->Execute("device_del", {{"id", serial}}, [this, serial](Result<json> deleted) {
    if (deleted) return;  // the event follows, or came already
    if (auto node = detaching_.extract(serial)) {
      const Error error = deleted.error();
      node.mapped()(tl::unexpected<Error>(error));
    }
  });
}

void QemuVm::Unplugged(const std::string& serial) {
  // Said by QEMU, which may say anything.
  if (targets_.erase(serial) == 0) return;
  monitor_->Execute("blockdev-del", {{"node-name", serial}}, [this, serial](Result<json> deleted) {
    if (auto node = detaching_.extract(serial)) {
      if (deleted)
        node.mapped()({});
      else
        node.mapped()(tl::unexpected<Error>(deleted.error()));
    }
  });
}

void QemuVm::AwaitClaim(pod::PrepareSandboxResponse suits, Claiming claiming) {
  suits_ = std::move(suits);
  claiming_ = std::move(claiming);
}

void QemuVm::Rest(Done done) {
  rests_since_ = std::chrono::steady_clock::now();
  monitor_->Execute("stop", json::object(), [this, done = std::move(done)](auto stopped) mutable {
    if (!stopped) return done(tl::unexpected<Error>(std::move(stopped).error()));
    // Its main loop goes on waking for timers of the guest's, hundreds of times a second, though
    // they stand still: 2 % of a core (QEMU 7.2).
    done(process_->Suspend());
  });
}

void QemuVm::Claim(const spec::SandboxSpec& sandbox, Done done) {
  auto claiming = std::move(claiming_);
  if (!claiming) return done(Fail(ErrorCode::kFailedPrecondition, "the machine waits for no pod"));
  if (auto claimed = claiming(sandbox); !claimed) return done(std::move(claimed));
  if (auto resumed = process_->Resume(); !resumed) return done(std::move(resumed));
  const auto waited = std::chrono::steady_clock::now() - rests_since_;
  details_["pool_waited_ms"] =
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(waited).count());
  monitor_->Execute("cont", json::object(), [done = std::move(done)](Result<json> runs) mutable {
    if (runs) return done({});
    done(tl::unexpected<Error>(std::move(runs).error()));
  });
}

void QemuVm::OnExit(UniqueFunction<void(MachineEnd end)> callback) {
  on_exit_ = std::move(callback);
}

void QemuVm::Kill(Done done) {
  if (!ended_.empty()) return done({});
  killed_ = true;
  waiting_for_end_.push_back(std::move(done));
  if (auto killed = process_->Kill(); !killed) {
    auto waiting = std::move(waiting_for_end_);
    for (auto& one : waiting) one(tl::unexpected<Error>(killed.error()));
  }
}

void QemuVm::Ended(ProcessEnd end) {
  ended_ = DescriptionOf(end);
  if (const std::string tail = console_->Tail(); !tail.empty())
    ended_ += "; its console said: " + tail;
  auto waiting = std::move(waiting_for_end_);
  auto on_exit = std::move(on_exit_);
  const bool killed = killed_;
  MachineEnd how{.reason = ended_, .signal = end.signal};
  for (auto& done : waiting) done({});
  if (!killed && on_exit) on_exit(std::move(how));
}

}  // namespace catamaran
