// The power goes at any moment of pulling and removing: afterwards each image is whole or absent,
// and what a call said is done is done.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "cri/images/testing/crash_cycle.h"
#include "cri/registry/testing/pull_lab.h"
#include "cri/registry/testing/recorded_disk.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class PowerCutTest : public PullLab {
 protected:
  // Mounts the disk as a cut left it, for `look`.
  void AfterCut(const RecordedDisk& disk, size_t flushes, uint32_t seed,
                const std::function<void(const std::filesystem::path&)>& look) {
    SCOPED_TRACE(fmt::format("cut after flush {}, seed {}", flushes, seed));
    const auto image = scratch_ / "cut";
    const auto mounted = scratch_ / "cut-mounted";
    ASSERT_TRUE(MakeDirectories(mounted));
    ASSERT_TRUE(disk.Rebuild(flushes, seed, image));
    const auto done =
        RunTool({"/bin/mount", "-t", "ext4", "-o", "loop", image.string(), mounted.string()});
    ASSERT_TRUE(done) << done.error().message;
    look(mounted);
    puller_.reset();
    store_.reset();
    ASSERT_TRUE(RunTool({"/bin/umount", mounted.string()}));
  }

  std::unique_ptr<RecordedDisk> MakeDisk() {
    auto disk = RecordedDisk::Create(scratch_ / "disk");
    EXPECT_TRUE(disk) << disk.error().message;
    return disk ? std::move(*disk) : nullptr;
  }
};

// The lab itself: what is not flushed is lost, what is flushed is not.
TEST_F(PowerCutTest, TheDiskForgetsWhatWasNotFlushed) {
  auto disk = MakeDisk();
  ASSERT_NE(disk, nullptr);
  WriteTestFile(disk->mounted() / "careless", "x");
  const size_t before = disk->flushes();
  ASSERT_TRUE(ReplaceFile(disk->mounted() / "careful", "y", 0600, Durability::kPowerCut));
  const size_t after = disk->flushes();
  ASSERT_GT(after, before);
  ASSERT_TRUE(disk->Unmount());
  AfterCut(*disk, before, 0, [](const std::filesystem::path& root) {
    EXPECT_FALSE(Exists(root / "careless"));
    EXPECT_FALSE(Exists(root / "careful"));
  });
  AfterCut(*disk, after, 0, [](const std::filesystem::path& root) {
    EXPECT_EQ(ReadFile(root / "careful").value(), "y");
  });
}

TEST_F(PowerCutTest, AnImageIsWholeOrAbsentWheneverThePowerGoes) {
  const std::string shared = Layer("shared", 100'000, 1);
  const TestImage one{.layers = {shared, Layer("one", 5000, 2)}};
  const TestImage two{.layers = {shared, Layer("two", 100, 3)}};
  const auto registry = StartRegistry();
  AddImage(*registry, "one", "1", one);
  AddImage(*registry, "two", "1", two);
  const std::string first = registry->address() + "/one:1";
  const std::string second = registry->address() + "/two:1";
  // What whole blobs look like.
  ASSERT_TRUE(Pull(first));
  ASSERT_TRUE(Pull(second));
  puller_.reset();
  store_.reset();

  auto disk = MakeDisk();
  ASSERT_NE(disk, nullptr);
  store_ = ImageStore::Open(HostPath(disk->mounted() / "images")).value();
  MakePuller();
  ASSERT_TRUE(Pull(first));
  const size_t first_there = disk->flushes();
  ASSERT_TRUE(Pull(second));
  const size_t second_there = disk->flushes();
  ASSERT_TRUE(store_->Remove(first));
  const size_t first_gone = disk->flushes();
  puller_.reset();
  store_.reset();
  ASSERT_TRUE(disk->Unmount());
  const size_t flushes = disk->flushes();
  EXPECT_GT(second_there, first_there);

  const auto check = [&](size_t flush, const std::filesystem::path& root) {
    auto opened = ImageStore::Open(HostPath(root / "images"));
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    const bool first_due = flush >= first_there && flush < second_there;
    EXPECT_TRUE(!first_due || store_->Find(first).value());
    EXPECT_TRUE(flush < second_there || store_->Find(second).value());
    EXPECT_TRUE(flush < first_gone || !store_->Find(first).value());
    ExpectBlobsOfImages(*store_, root / "images", scratch_ / "images");
  };
  int states = 0;
  for (size_t flush = 1; flush <= flushes && !HasFailure(); ++flush)
    for (const uint32_t seed : {0u, static_cast<uint32_t>(flush)}) {
      ++states;
      AfterCut(*disk, flush, seed, [&](const std::filesystem::path& root) { check(flush, root); });
    }
  printf("%zu flushes; %d states of the disk after a power cut\n", flushes, states);
  // And what was interrupted can be done.
  AfterCut(*disk, first_there / 2, 0, [&](const std::filesystem::path& root) {
    store_ = ImageStore::Open(HostPath(root / "images")).value();
    MakePuller();
    EXPECT_TRUE(Pull(first));
    EXPECT_TRUE(Pull(second));
  });
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  using catamaran::RecordedDisk;
  if (argc == 3 && std::string(argv[1]) == RecordedDisk::kServerArgument)
    return RecordedDisk::Serve(argv[2]);
  testing::InitGoogleTest(&argc, argv);
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    perror("a mount namespace of its own");
    return 1;
  }
  return RUN_ALL_TESTS();
}
