#pragma once

#include "sandbox/kernel/cgroup.h"
#include "shim/shim_test_util.h"

namespace catamaran {

inline constexpr char kBusybox[] = "/bin/busybox";

// Real containers of busybox behind a real shim.
class NamespaceShimTest : public ShimProcessTest {
 protected:
  void SetUp() override {
    ShimProcessTest::SetUp();
    tree_ = CgroupTree::Open().value();
    cgroup_ = "/catamaran-test/" + folder_.filename().string();
    ASSERT_TRUE(MakeDirectories(folder_ / "image/bin", 0755));
    std::filesystem::copy_file(kBusybox, folder_ / "image/bin/busybox");
  }
  void TearDown() override {
    EndPod();
    ShimProcessTest::TearDown();
  }
  // What the daemon does where there is no shim any more.
  void EndPod() {
    if (auto group = tree_->OpenGroup(cgroup_)) {
      const auto killed = group->KillAll(Soon());
      EXPECT_TRUE(killed) << killed.error().message;
      const auto removed = group->Remove(Soon());
      EXPECT_TRUE(removed) << removed.error().message;
    }
    EXPECT_TRUE(ShimManager::IsGone(paths_));
    ASSERT_TRUE(RemoveTree(folder_ / "state"));
    ASSERT_TRUE(RemoveTree(folder_ / "data"));
    ASSERT_TRUE(RemoveTree(paths_.folder.value()));
    ASSERT_TRUE(MakeDirectories(paths_.folder.value()));
  }
  Status SpawnPod() {
    RETURN_IF_ERROR(Spawn(ShimManager::Backend::kNamespaces, cgroup_));
    pod::CreateSandboxRequest request;
    spec::SandboxSpec& sandbox = *request.mutable_sandbox();
    sandbox.set_format_version(1);
    sandbox.set_pod_id("pod");
    sandbox.set_hostname("shim-test");
    sandbox.set_network(spec::NODE);
    sandbox.set_ipc(spec::POD);
    sandbox.set_pid(spec::CONTAINER);
    sandbox.set_cgroup_path(cgroup_);
    sandbox.set_state_directory(folder_ / "state");
    sandbox.set_data_directory(folder_ / "data");
    auto created = client_->CreateSandbox(request, Soon());
    if (!created) return tl::unexpected(created.error());
    return {};
  }
  // All but its program.
  void FillContainer(spec::ContainerSpec& container, const std::string& id) {
    container.set_format_version(1);
    container.set_container_id(id);
    container.set_log_path(LogPath(id));
    container.set_pid(spec::CONTAINER);
    container.mutable_rootfs()->add_lower_directories(folder_ / "image");
    container.mutable_rootfs()->set_writable_directory(folder_ / "data" / id);
  }
  Status CreateShell(const std::string& id, const std::string& script, bool keep_stdin = false) {
    pod::CreateContainerRequest request;
    spec::ContainerSpec& container = *request.mutable_container();
    FillContainer(container, id);
    container.set_stdin(keep_stdin);
    for (const std::string& arg :
         {std::string("/bin/busybox"), std::string("sh"), std::string("-c"), script})
      container.mutable_process()->add_args(arg);
    container.mutable_process()->add_env("PATH=/bin");
    auto created = client_->CreateContainer(request, Soon());
    if (!created) return tl::unexpected(created.error());
    return {};
  }
  LogContent Log(const std::string& id) {
    LogContent log;
    ReadLog(LogPath(id), log);
    return log;
  }

  std::shared_ptr<const CgroupTree> tree_;
  std::string cgroup_;
};

}  // namespace catamaran
