#include "sandbox/kernel/cgroup_kernel_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

Result<std::shared_ptr<const CgroupTree>> OpenMachine() { return CgroupTree::Open(); }

Result<std::shared_ptr<const CgroupTree>> OpenV2Part() {
  ASSIGN_OR_RETURN(const auto machine, CgroupTree::Open());
  if (machine->Unified() == nullptr) return Fail(ErrorCode::kNotFound, "no cgroup v2 here");
  ASSIGN_OR_RETURN(auto root,
                   OpenFileAt(machine->Unified()->root.get(), ".", O_RDONLY | O_DIRECTORY));
  return CgroupTree::OpenAt(std::move(root));
}

// The v1 mounts bound below a folder of this process's own mount namespace.
Result<std::shared_ptr<const CgroupTree>> OpenV1Part() {
  ASSIGN_OR_RETURN(const auto machine, CgroupTree::Open());
  if (machine->kind() == CgroupTree::Kind::kUnified)
    return Fail(ErrorCode::kNotFound, "no v1 here");
  const std::string folder = "/tmp";
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return FailWithErrno("own mount namespace");
  if (mount("none", folder.c_str(), "tmpfs", 0, nullptr) != 0) return FailWithErrno("mount tmpfs");
  for (const auto& hierarchy : machine->hierarchies()) {
    if (hierarchy.v2) continue;
    const std::string target = folder + "/" + hierarchy.mount;
    if (mkdir(target.c_str(), 0755) != 0) return FailWithErrno("mkdir {}", target);
    if (mount(("/sys/fs/cgroup/" + hierarchy.mount).c_str(), target.c_str(), nullptr, MS_BIND,
              nullptr) != 0)
      return FailWithErrno("bind {}", target);
  }
  ASSIGN_OR_RETURN(auto root, OpenFile(folder, O_RDONLY | O_DIRECTORY));
  auto tree = CgroupTree::OpenAt(std::move(root));
  umount2(folder.c_str(), MNT_DETACH);
  return tree;
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Trees, CgroupKernelTest,
                         testing::Values(Part{"Machine", OpenMachine}, Part{"V2", OpenV2Part},
                                         Part{"V1", OpenV1Part}),
                         [](const auto& info) { return info.param.name; });

void CgroupKernelTest::SetUp() {
  auto tree = GetParam().open();
  if (!tree && tree.error().code == ErrorCode::kNotFound) GTEST_SKIP() << tree.error().message;
  ASSERT_TRUE(tree) << tree.error().message;
  tree_ = *tree;
  base_ = "/catamaran-test-" + std::to_string(getpid());
}

void CgroupKernelTest::TearDown() {
  if (!tree_) return;
  auto group = tree_->OpenGroup(base_);
  if (!group) return;
  EXPECT_TRUE(group->KillAll(Soon()));
  for (const pid_t child : children_) waitpid(child, nullptr, 0);
  const auto removed = group->Remove(Soon());
  EXPECT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(tree_->Exists(base_));
}

Cgroup CgroupKernelTest::Make(const std::string& name) {
  auto group = tree_->Create(base_ + "/" + name);
  EXPECT_TRUE(group) << group.error().message;
  return std::move(*group);
}

pid_t CgroupKernelTest::Run(const Cgroup& group, const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves none behind
    if (!group.Attach(0)) _exit(99);
    _exit(work());
  }
  children_.push_back(child);
  return child;
}

pid_t CgroupKernelTest::RunSleeper(const Cgroup& group) {
  auto ready = MakePipe().value();
  const pid_t child = Run(group, [&] {
    if (write(ready.write_end.get(), "x", 1) != 1) return 1;
    while (true) pause();
  });
  ready.write_end.Reset();
  char byte;
  EXPECT_EQ(read(ready.read_end.get(), &byte, 1), 1);
  return child;
}

int CgroupKernelTest::Wait(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  std::erase(children_, child);
  return status;
}

}  // namespace catamaran
