// Kills a process at every step of loading, leasing and removing, and looks at what it left.
#include <gtest/gtest.h>

#include "cri/images/image_store.h"
#include "cri/images/testing/crash_cycle.h"
#include "cri/images/testing/image_builder.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Kind = ImageStore::RootfsKind;

// What the killed process does: everything that writes.
Status LoadAndRemove(const HostPath& root, const std::vector<std::string>& archives) {
  const HostPath first(archives.at(0)), second(archives.at(1));
  ASSIGN_OR_RETURN(const auto store, ImageStore::Open(root));
  ASSIGN_OR_RETURN(const auto images, store->Load(first, {}));
  RETURN_IF_ERROR(store->Lease(images[0].id, "one", Kind::kMergedDisk));
  RETURN_IF_ERROR(store->Load(second, {}));
  RETURN_IF_ERROR(store->Lease(images[0].id, "two", Kind::kLayers));
  RETURN_IF_ERROR(store->Remove(images[0].id));
  RETURN_IF_ERROR(store->DropLease("one"));
  return store->DropLeasesExcept({});
}

class CrashTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string base = TarBuilder().File("base", std::string(100'000, 'b')).Build();
    const std::string top = TarBuilder().File(".wh.base", "").File("top", "t").Build();
    const std::string other = TarBuilder().File("other", "o").Build();
    WriteTestFile(scratch_ / "first",
                  Gzip(TarOf(OciLayoutFiles({{.layers = {base, top}, .name = "a"}}))));
    WriteTestFile(scratch_ / "second",
                  TarOf(DockerArchiveFiles({{.layers = {base, other}, .name = "b"}})));
    auto store = ImageStore::Open(HostPath(scratch_ / "good")).value();
    EXPECT_TRUE(store->Load(HostPath(scratch_ / "first"), {}));
    EXPECT_TRUE(store->Load(HostPath(scratch_ / "second"), {}));
  }

  // Every image there is must be whole, and nothing else may be left.
  void ExpectConsistent(const std::filesystem::path& root) {
    auto opened = ImageStore::Open(HostPath(root));
    ASSERT_TRUE(opened) << opened.error().message;
    auto& store = **opened;
    ASSERT_TRUE(store.DropLeasesExcept({}));
    const auto images = store.List().value();
    for (const auto& image : images) {
      EXPECT_EQ(image.diff_ids.size(), 2u);
      EXPECT_EQ(image.repo_tags.size(), 1u);
      EXPECT_TRUE(store.Find(image.repo_tags[0]).value());
      EXPECT_TRUE(store.Lease(image.id, "check", Kind::kMergedDisk));
    }
    ExpectBlobsOfImages(store, root, scratch_ / "good");
    EXPECT_EQ(ListDirectory(root / "merged")->size(), images.size());
    // And what was interrupted can be done.
    EXPECT_TRUE(store.Load(HostPath(scratch_ / "first"), {}));
    EXPECT_TRUE(store.Load(HostPath(scratch_ / "second"), {}));
    EXPECT_EQ(store.List()->size(), 2u);
  }

  ScratchFolder scratch_{"crash"};
};

TEST_F(CrashTest, AnImageIsWholeOrAbsentWhereverTheProcessDies) {
  const int steps = KillCycleAtEveryStep(scratch_.path(), {scratch_ / "first", scratch_ / "second"},
                                         [this](const auto& root) { ExpectConsistent(root); });
  EXPECT_GE(steps, 20);
}

}  // namespace

}  // namespace catamaran

int main(int argc, char** argv) {
  if (const auto code = catamaran::RunAsCycle(argc, argv, catamaran::LoadAndRemove)) return *code;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
