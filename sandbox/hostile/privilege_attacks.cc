// Privileges that a program is not to have, and sizes that it is not to cost.
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/base/cleanup.h"
#include "sandbox/hostile/hostile_container.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMachinesSysctl = "kernel.printk_ratelimit_burst";
constexpr const char* kMachinesSysctlFile = "/proc/sys/kernel/printk_ratelimit_burst";

// A daemon that was started with inheritable capabilities hands them on to all that it clones.
Cleanup InheritEverything() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before[_LINUX_CAPABILITY_U32S_3]{}, data[_LINUX_CAPABILITY_U32S_3]{};
  EXPECT_EQ(syscall(SYS_capget, &header, before), 0);
  std::copy(std::begin(before), std::end(before), data);
  for (auto& half : data) half.inheritable = half.permitted;
  EXPECT_EQ(syscall(SYS_capset, &header, data), 0);
  return Cleanup(
      [header, before]() mutable { EXPECT_EQ(syscall(SYS_capset, &header, before), 0); });
}

// setcap =ei: what is inheritable becomes permitted at execve, capabilities(7).
void GiveFileCapabilities(const fs::path& file) {
  vfs_cap_data capabilities{};
  capabilities.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  for (auto& half : capabilities.data) half.inheritable = ~0U;
  ASSERT_EQ(setxattr(file.c_str(), "security.capability", &capabilities, sizeof capabilities, 0), 0)
      << strerror(errno);
}

// Whether the kernel, which starts release agents from its own root, would find this file.
bool KernelSees(const fs::path& file) {
  return fs::exists(fs::path("/proc/2/root" + file.string()));
}

}  // namespace

std::string HostileContainer::CapabilitiesOfAUser(bool exec) {
  const Cleanup as_before = InheritEverything();
  const fs::path image = HostileImage("capabilities");
  fs::create_directories(image / "inherit");
  fs::copy_file(image / "probe", image / "inherit/probe");
  GiveFileCapabilities(image / "inherit/probe");
  auto spec = ProbeSpec(NextId(), {"caps"});
  spec.mutable_rootfs()->set_lower_directories(0, image);
  spec.mutable_process()->mutable_user()->set_user("1000");
  const std::string& id = spec.container_id();
  if (!exec) {
    spec.mutable_process()->set_args(0, "/inherit/probe");
    return Run(spec)["CapPrm"];
  }
  spec.mutable_process()->set_args(1, "forever");
  EXPECT_TRUE(Create(spec) && Start(id));
  EXPECT_TRUE(Exec(id, "user", {"/inherit/probe", "caps"}));
  WaitExit(id, "user");
  return ParseReport(Stdout(id, "user"))["CapPrm"];
}

HostileContainer::Release HostileContainer::TakeReleaseAgent(bool privileges) {
  // Elsewhere than in the image, so that both sides see the sign.
  const fs::path image = HostileImage("release");
  fs::create_hard_link(image / "probe", volume_ / "probe");
  auto spec =
      VolumeSpec(NextId(), {"release-agent:" + (volume_ / "probe").string() + ":/volume/released"});
  spec.mutable_rootfs()->set_lower_directories(0, image);
  if (privileges) spec.mutable_process()->mutable_capabilities()->set_all(true);
  Release release;
  release.report = Run(spec);
  release.ran_on_host = fs::exists(volume_ / "released");
  if (release.report["release-agent"] == "ok" && !KernelSees(volume_ / "probe"))
    release.ran_on_host = true;  // it would have, had it been there
  return release;
}

std::vector<std::string> HostileContainer::WaysToAnotherSysctl() {
  return {"a second key after a plus", "a second key after a line break", "a path upwards",
          "its own name"};
}

bool HostileContainer::ChangeMachinesSysctl(const std::string& way) {
  const std::string before = ReadFile(kMachinesSysctlFile).value();
  const std::string other = std::to_string(std::stoi(before) + 1);
  auto sandbox = SandboxSpec();
  auto& sysctls = *sandbox.mutable_sysctls();
  if (way == "a second key after a plus") {
    sysctls["kernel.shm_rmid_forced"] = std::string("1+") + kMachinesSysctl + "=" + other;
  } else if (way == "a second key after a line break") {
    sysctls["kernel.shm_rmid_forced"] = std::string("1\n+") + kMachinesSysctl + "=" + other;
  } else if (way == "a path upwards") {
    sysctls["net/../kernel/printk_ratelimit_burst"] = other;
  } else {
    sysctls[kMachinesSysctl] = other;
  }
  bool changed = false;
  // openat2(2) gives up a path with ".." in it where anything else is renamed meanwhile.
  for (int attempt = 0; attempt < 5 && !changed; ++attempt) {
    if (TryCreateSandbox(sandbox)) {
      EXPECT_TRUE(DestroySandbox());
    }
    changed = ReadFile(kMachinesSysctlFile).value() != before;
  }
  EXPECT_TRUE(WriteExisting(kMachinesSysctlFile, before));
  return changed;
}

std::pair<int, int> HostileContainer::ForksInAUserNamespace() {
  constexpr char kForks[] = "forks:200";
  auto sandbox = SandboxSpec();
  for (auto* mappings : {sandbox.mutable_user_namespace()->mutable_uids(),
                         sandbox.mutable_user_namespace()->mutable_gids()}) {
    auto* range = mappings->Add();
    range->set_host_id(100000);
    range->set_length(65536);
  }
  const IdMaps maps{"0 100000 65536\n", "0 100000 65536\n"};
  sandbox.set_network_namespace(MakeNetworkNamespace(maps));
  CreateSandbox(sandbox);
  auto spec = ProbeSpec(NextId(), {kForks, "forever"});
  spec.mutable_resources()->set_pids_limit(20);
  const std::string id = spec.container_id();
  EXPECT_TRUE(Create(spec) && Start(id));
  WaitForOutput(id, "forks=");
  EXPECT_TRUE(Exec(id, "e", {"/probe", kForks}));
  WaitExit(id, "e");
  EXPECT_TRUE(Signal(id, SIGKILL));
  WaitExit(id);
  return {std::stoi(ParseReport(Stdout(id))["forks"]),
          std::stoi(ParseReport(Stdout(id, "e"))["forks"])};
}

std::string HostileContainer::StartWithGiantUserFile(const std::string& name) {
  const fs::path image = HostileImage("giant");
  std::ofstream(image / "etc" / name).flush();
  // No byte of it is on the disk.
  EXPECT_EQ(truncate((image / "etc" / name).c_str(), int64_t{1} << 30), 0);
  auto spec = ProbeSpec(NextId(), {});
  spec.mutable_rootfs()->set_lower_directories(0, image);
  spec.mutable_process()->mutable_user()->set_user("0:somebody");
  // What it takes counts in its own group, so the attack stays small here.
  spec.mutable_resources()->set_memory_limit_bytes(64 << 20);
  auto created = CreateOnce(spec);
  return created ? "created" : created.error().message;
}

std::string HostileContainer::StartWithFifoForUserFile(const std::string& name) {
  const fs::path image = HostileImage("fifo");
  EXPECT_EQ(mkfifo((image / "etc" / name).c_str(), 0644), 0);
  auto spec = ProbeSpec(NextId(), {});
  spec.mutable_rootfs()->set_lower_directories(0, image);
  spec.mutable_process()->mutable_user()->set_user("0:somebody");
  pod::CreateContainerRequest request;
  *request.mutable_container() = spec;
  std::string outcome;
  bool ended = false;
  backend_->CreateContainer(request, Stdio(), [&](Result<pod::CreateContainerResponse> created) {
    ended = true;
    outcome = created ? "created" : created.error().message;
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (!ended && std::chrono::steady_clock::now() < end)
    EXPECT_TRUE(loop_->RunOnce(std::chrono::milliseconds(20)));
  const std::string in_time = ended ? outcome : "";
  Remove(spec.container_id()).map_error([](const Error&) {});
  EXPECT_TRUE(Await([&] { return ended; }));
  return in_time;
}

}  // namespace catamaran
