// The guest's volumes behind the agent's seam, on one kernel with a volume server.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include "sandbox/kernel/process.h"
#include "vm-backend/volumes/atomic_writer_testing.h"
#include "vm-backend/volumes/fuse_guest_volumes.h"
#include "vm-backend/volumes/served_volumes.h"
#include "vm-backend/volumes/volume_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class GuestsVolumes : public VolumeScratchTest {
 protected:
  void SetUp() override {
    VolumeScratchTest::SetUp();
    if (HasFatalFailure()) return;
    auto [theirs, ours] = MakeSocketPair(SOCK_STREAM).value();
    host_ = MakeServedVolumes(*loop_, std::move(theirs), "secret", [] {}).value();
    guest_ = MakeFuseGuestVolumes(*loop_, GuestPath(scratch_ / "guest"));
    auto started = guest_->Start(std::move(ours), "secret");
    ASSERT_TRUE(started) << started.error().message;
  }
  void TearDown() override {
    guest_.reset();
    host_.reset();
    if (scratch_.empty()) return;
    for (const char* name : {"guest/volumes", "guest/mirrors", "guest/memory/memory-0"})
      umount2((scratch_ / name).c_str(), MNT_DETACH);
    VolumeScratchTest::TearDown();
  }

  fs::path PodFolder() const { return scratch_ / "kubelet/pods/1234"; }
  // Through both halves, as shim and agent do; where it is in the guest.
  Result<fs::path> Give(const fs::path& host, bool readonly) {
    spec::Mount* mount = container_.add_mounts();
    container_.set_container_id("c");
    mount->set_host_path(host);
    mount->set_readonly(readonly);
    std::optional<Result<SharedVolume>> shared;
    host_->Share(ContainerId("c"), *mount, [&](auto result) { shared = std::move(result); });
    if (!RunUntil([&] { return shared.has_value(); })) return Fail(ErrorCode::kInternal, "no end");
    if (!*shared) return tl::unexpected<Error>(shared->error());
    mount->set_volume_path((*shared)->path);
    *mount->mutable_guest() = (*shared)->guest;
    const int index = container_.mounts_size() - 1;
    std::optional<Result<std::string>> prepared;
    auto task = ChildTask::Start(
        *loop_,
        [&]() -> Result<std::string> {
          RETURN_IF_ERROR(guest_->Prepare("c", index, *mount));
          return std::string();
        },
        [&](auto result) { prepared = std::move(result); });
    if (!RunUntil([&] { return prepared.has_value(); }))
      return Fail(ErrorCode::kInternal, "no end");
    if (!*prepared) return tl::unexpected<Error>(prepared->error());
    guest_->OnPrepared(*mount);
    return guest_->PathOf("c", index, *mount).value();
  }

  std::unique_ptr<HostVolumes> host_;
  std::unique_ptr<GuestVolumes> guest_;
  spec::ContainerSpec container_;
};

TEST_F(GuestsVolumes, AProjectedVolumeIsACopyThatFollowsTheHosts) {
  AtomicWriter writer(PodFolder() / "volumes/kubernetes.io~projected/token");
  writer.Write({{"token", {"first"}}});
  const auto mirror = Give(writer.folder(), true);
  ASSERT_TRUE(mirror) << mirror.error().message;
  EXPECT_EQ(*ReadFile(*mirror / "token"), "first");
  struct statfs system;
  ASSERT_EQ(statfs(mirror->c_str(), &system), 0);
  EXPECT_EQ(system.f_type, 0x01021994) << "not a tmpfs";
  for (const char* content : {"second", "third"}) {
    writer.Write({{"token", {content}}});
    EXPECT_TRUE(RunUntil([&] { return ReadFile(*mirror / "token").value_or("") == content; }));
  }
  ASSERT_TRUE(guest_->Release(container_));
  EXPECT_FALSE(fs::exists(*mirror));
}

TEST_F(GuestsVolumes, OneThatIsNotTheKubeletsIsServed) {
  AtomicWriter writer(scratch_ / "elsewhere");
  writer.Write({{"key", {"value"}}});
  const auto served = Give(writer.folder(), true);
  ASSERT_TRUE(served) << served.error().message;
  EXPECT_EQ(served->parent_path(), scratch_ / "guest/volumes");
  EXPECT_EQ(*ReadFile(*served / "key"), "value");
}

TEST_F(GuestsVolumes, AnEmptyDirInMemoryIsOneTmpfsWithTheHostsLimit) {
  const fs::path folder = PodFolder() / "volumes/kubernetes.io~empty-dir/cache";
  fs::create_directories(folder);
  ASSERT_EQ(mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=2m,mode=02770,gid=2000"), 0);
  const fs::path part = PodFolder() / "volume-subpaths/cache/c/0";
  fs::create_directories(folder / "a/b");
  fs::create_directories(part);
  ASSERT_EQ(mount((folder / "a/b").c_str(), part.c_str(), nullptr, MS_BIND, nullptr), 0);
  const auto whole = Give(folder, false), again = Give(folder, false), below = Give(part, false);
  ASSERT_TRUE(whole && again && below);
  EXPECT_EQ(*whole, *again);
  struct stat status;
  ASSERT_EQ(stat(whole->c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 02770u);
  EXPECT_EQ(status.st_gid, 2000u);
  ASSERT_EQ(stat((*whole / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 02770u);
  EXPECT_EQ(status.st_gid, 2000u);
  ASSERT_TRUE(ReplaceFile(*below / "file", "x", 0644, Durability::kProcessCrash));
  EXPECT_TRUE(fs::exists(*whole / "a/b/file"));
  const auto large =
      ReplaceFile(*whole / "large", std::string(3 << 20, 'x'), 0644, Durability::kProcessCrash);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().system_errno, ENOSPC);
  EXPECT_FALSE(fs::exists(folder / "a/b/file")) << "the host's memory";
  ASSERT_TRUE(guest_->Release(container_));
  EXPECT_FALSE(fs::exists(*below));
  EXPECT_TRUE(fs::exists(*whole / "a/b/file")) << "it lives as long as the pod";
  umount2(part.c_str(), MNT_DETACH);
  umount2(folder.c_str(), MNT_DETACH);
}

TEST_F(GuestsVolumes, AnEmptyDirOfHugePagesIsRefused) {
  const fs::path folder = PodFolder() / "volumes/kubernetes.io~empty-dir/pages";
  fs::create_directories(folder);
  ASSERT_EQ(mount("hugetlbfs", folder.c_str(), "hugetlbfs", 0, "pagesize=2M"), 0);
  const auto refused = Give(folder, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnimplemented);
  EXPECT_NE(refused.error().message.find("HugePages"), std::string::npos)
      << refused.error().message;
  umount2(folder.c_str(), MNT_DETACH);
}

TEST_F(GuestsVolumes, ALinkOfAContainersLeadsNoSubPathOutOfItsVolume) {
  const fs::path folder = PodFolder() / "volumes/kubernetes.io~empty-dir/cache";
  fs::create_directories(folder);
  ASSERT_EQ(mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=2m"), 0);
  const fs::path part = PodFolder() / "volume-subpaths/cache/c/0";
  fs::create_directories(folder / "a/b");
  fs::create_directories(part);
  ASSERT_EQ(mount((folder / "a/b").c_str(), part.c_str(), nullptr, MS_BIND, nullptr), 0);
  const auto whole = Give(folder, false);
  ASSERT_TRUE(whole);
  fs::create_directory_symlink(scratch_, *whole / "a");
  const auto below = Give(part, false);
  ASSERT_TRUE(below) << below.error().message;
  EXPECT_FALSE(fs::exists(scratch_ / "b"));
  EXPECT_TRUE(fs::exists(*whole / scratch_.relative_path() / "b"));
  ASSERT_TRUE(guest_->Release(container_));
  umount2(part.c_str(), MNT_DETACH);
  umount2(folder.c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace catamaran
