// Root file systems from EROFS blobs, in the way this kernel does best and in the way of old ones.
#include "sandbox/container/rootfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sandbox/base/files.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/mounts.h"
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/safe_path.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

class Rootfs : public ::testing::TestWithParam<RootfsMethod> {
 protected:
  Rootfs() {
    std::string pattern = fs::temp_directory_path() / "rootfs_test_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    EXPECT_TRUE(RootfsBuilder::MakeScratchFolders(folder_ / "scratch"));
    mounts_before_ = ReadFile("/proc/self/mountinfo").value();
  }
  ~Rootfs() override {
    EXPECT_EQ(ReadFile("/proc/self/mountinfo").value(), mounts_before_);
    fs::remove_all(folder_);
  }

  // A folder to be made into a layer.
  fs::path LayerFolder(int number) {
    const fs::path layer = folder_ / ("layer" + std::to_string(number));
    fs::create_directories(layer);
    return layer;
  }

  spec::RootfsSpec MakeBlobs(int count) {
    spec::RootfsSpec spec;
    for (int i = 0; i < count; ++i) {
      const std::string blob = folder_ / (std::to_string(i) + ".erofs");
      const std::string command = "mkfs.erofs --quiet -T0 -Enoinline_data " + blob + " " +
                                  LayerFolder(i).string() + " >/dev/null 2>&1";
      EXPECT_EQ(system(command.c_str()), 0) << command;
      spec.add_layers()->set_blob(blob);
    }
    spec.set_writable_directory(folder_ / "writable");
    return spec;
  }

  // Runs `look` on the mounted root in a child with a mount namespace of its own.
  Result<std::string> InChild(UniqueFunction<Result<std::string>()> look) {
    auto loop = EventLoop::Create().value();
    std::optional<Result<std::string>> outcome;
    auto task = ChildTask::Start(
        *loop,
        [look = std::move(look)]() mutable -> Result<std::string> {
          if (unshare(CLONE_NEWNS) != 0) return FailWithErrno("unshare");
          RETURN_IF_ERROR(LeavePeerGroups());
          return look();
        },
        [&](Result<std::string> result) { outcome = std::move(result); });
    while (!outcome) EXPECT_TRUE(loop->RunOnce(std::chrono::seconds(60)));
    return std::move(*outcome);
  }

  fs::path folder_;
  std::string mounts_before_;
};

void WriteText(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string Text(int root, const std::string& path) {
  auto file = OpenInRoot(root, path, O_RDONLY);
  if (!file) return strerrorname_np(file.error().system_errno);
  return ReadAll(file->get(), 1 << 20).value();
}

TEST_P(Rootfs, UpperLayersHideWhatTheyWhiteOut) {
  WriteText(LayerFolder(0) / "kept", "bottom");
  WriteText(LayerFolder(0) / "changed", "bottom");
  WriteText(LayerFolder(0) / "deleted", "bottom");
  WriteText(LayerFolder(0) / "opaque/hidden", "bottom");
  WriteText(LayerFolder(1) / "changed", "top");
  WriteText(LayerFolder(1) / "opaque/new", "top");
  ASSERT_EQ(mknod((LayerFolder(1) / "deleted").c_str(), S_IFCHR, makedev(0, 0)), 0);
  ASSERT_EQ(setxattr((LayerFolder(1) / "opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  ASSERT_EQ(chmod(LayerFolder(1).c_str(), 0750), 0);
  const auto spec = MakeBlobs(2);
  auto seen = InChild([&]() -> Result<std::string> {
    RootfsBuilder builder(folder_ / "scratch", GetParam());
    ASSIGN_OR_RETURN(auto root, builder.MountContainerRoot(spec));
    struct stat status;
    fstat(root.get(), &status);
    ASSIGN_OR_RETURN(auto made, OpenOrCreateInRoot(root.get(), "written", TargetKind::kFile));
    return fmt::format("{} {} {} {} {} {:o}", Text(root.get(), "kept"), Text(root.get(), "changed"),
                       Text(root.get(), "deleted"), Text(root.get(), "opaque/hidden"),
                       Text(root.get(), "opaque/new"), status.st_mode & 07777);
  });
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(*seen, "bottom top ENOENT ENOENT top 750");
  EXPECT_TRUE(fs::exists(folder_ / "writable/upper/written"));
}

TEST_P(Rootfs, ManyLayersAreOneTree) {
  // Loop devices are few on some hosts; more than this is shown with the other method.
  const int count = GetParam() == RootfsMethod::kByPath ? 20 : 127;
  for (int i = 0; i < count; ++i) {
    WriteText(LayerFolder(i) / ("file" + std::to_string(i)), std::to_string(i));
    WriteText(LayerFolder(i) / "last", std::to_string(i));
  }
  const auto spec = MakeBlobs(count);
  auto seen = InChild([&]() -> Result<std::string> {
    RootfsBuilder builder(folder_ / "scratch", GetParam());
    ASSIGN_OR_RETURN(auto root, builder.MountContainerRoot(spec));
    int right = 0;
    for (int i = 0; i < count; ++i)
      right += Text(root.get(), "file" + std::to_string(i)) == std::to_string(i) ? 1 : 0;
    return fmt::format("{} {}", right, Text(root.get(), "last"));
  });
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(*seen, fmt::format("{} {}", count, count - 1));
}

TEST_P(Rootfs, PartsOfImagesAreMountedReadOnly) {
  WriteText(LayerFolder(0) / "sub/file", "bottom");
  WriteText(LayerFolder(1) / "sub/other", "top");
  spec::ImageMount image;
  *image.mutable_rootfs() = MakeBlobs(2);
  image.set_sub_path("sub");
  auto seen = InChild([&]() -> Result<std::string> {
    RootfsBuilder builder(folder_ / "scratch", GetParam());
    ASSIGN_OR_RETURN(auto part, builder.MountImage(image));
    auto file = OpenOrCreateInRoot(part.get(), "new", TargetKind::kFile);
    return fmt::format("{} {} {}", Text(part.get(), "file"), Text(part.get(), "other"),
                       file ? "made" : strerrorname_np(file.error().system_errno));
  });
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(*seen, "bottom top EROFS");
}

TEST_P(Rootfs, ABrokenBlobIsNamed) {
  WriteText(folder_ / "broken.erofs", std::string(8192, 'x'));
  spec::RootfsSpec spec;
  spec.add_layers()->set_blob(folder_ / "broken.erofs");
  spec.set_writable_directory(folder_ / "writable");
  auto seen = InChild([&]() -> Result<std::string> {
    RootfsBuilder builder(folder_ / "scratch", GetParam());
    ASSIGN_OR_RETURN(auto root, builder.MountContainerRoot(spec));
    return "mounted";
  });
  ASSERT_FALSE(seen);
  EXPECT_NE(seen.error().message.find("broken.erofs"), std::string::npos) << seen.error().message;
}

INSTANTIATE_TEST_SUITE_P(Methods, Rootfs,
                         ::testing::Values(RootfsMethod::kBest, RootfsMethod::kByPath),
                         [](const auto& method) {
                           return method.param == RootfsMethod::kBest ? "Best" : "ByPath";
                         });

}  // namespace
}  // namespace catamaran
