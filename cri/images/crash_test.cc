// Kills a process at every step of loading, leasing and removing, and looks at what it left.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "cri/images/image_store.h"
#include "cri/images/reference.h"
#include "cri/images/testing/image_builder.h"
#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Kind = ImageStore::RootfsKind;

constexpr char kHelperArgument[] = "--cycle";

// What the killed process does: everything that writes.
Status Cycle(const HostPath& root, const HostPath& first, const HostPath& second) {
  ASSIGN_OR_RETURN(const auto store, ImageStore::Open(root));
  ASSIGN_OR_RETURN(const auto images, store->Load(first, {}));
  RETURN_IF_ERROR(store->Lease(images[0].id, "one", Kind::kMergedDisk));
  RETURN_IF_ERROR(store->Load(second, {}));
  RETURN_IF_ERROR(store->Lease(images[0].id, "two", Kind::kLayers));
  RETURN_IF_ERROR(store->Remove(images[0].id));
  RETURN_IF_ERROR(store->DropLease("one"));
  return store->DropLeasesExcept({});
}

// The exit status of this program run as the helper with a step to die at.
int RunCycle(const std::vector<std::string>& arguments, int abort_at) {
  std::vector<std::string> texts = {"/proc/self/exe", kHelperArgument};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::string variable = "CATAMARAN_ABORT_AT=daemon:" + std::to_string(abort_at);
  std::vector<char*> environment = {variable.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(
      posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(), environment.data()), 0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
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
    std::set<std::string> expected;
    for (const auto& image : images) {
      EXPECT_EQ(image.diff_ids.size(), 2u);
      EXPECT_EQ(image.repo_tags.size(), 1u);
      EXPECT_TRUE(store.Find(image.repo_tags[0]).value());
      EXPECT_TRUE(store.Lease(image.id, "check", Kind::kMergedDisk));
      for (const auto& diff_id : image.diff_ids) expected.insert(DigestHex(diff_id) + ".erofs");
    }
    const auto blobs = ListDirectory(root / "blobs").value();
    EXPECT_EQ(std::set<std::string>(blobs.begin(), blobs.end()), expected);
    for (const auto& blob : blobs)
      EXPECT_TRUE(ReadFile(root / "blobs" / blob).value() ==
                  ReadFile(scratch_ / ("good/blobs/" + blob)).value())
          << blob;
    EXPECT_TRUE(ListDirectory(root / "tmp")->empty());
    EXPECT_EQ(ListDirectory(root / "merged")->size(), images.size());
    // And what was interrupted can be done.
    EXPECT_TRUE(store.Load(HostPath(scratch_ / "first"), {}));
    EXPECT_TRUE(store.Load(HostPath(scratch_ / "second"), {}));
    EXPECT_EQ(store.List()->size(), 2u);
  }

  ScratchFolder scratch_{"crash"};
};

TEST_F(CrashTest, AnImageIsWholeOrAbsentWhereverTheProcessDies) {
  int step = 1;
  for (;; ++step) {
    SCOPED_TRACE("killed at step " + std::to_string(step));
    const auto root = scratch_ / ("root" + std::to_string(step));
    const int status = RunCycle({root, scratch_ / "first", scratch_ / "second"}, step);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    ExpectConsistent(root);
    ASSERT_TRUE(RemoveTree(root));
    ASSERT_LT(step, 200);
  }
  EXPECT_GT(step, 20);
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  using catamaran::HostPath;
  if (argc == 5 && std::string(argv[1]) == catamaran::kHelperArgument) {
    catamaran::InitAbortSteps("daemon");
    const auto done = catamaran::Cycle(HostPath(argv[2]), HostPath(argv[3]), HostPath(argv[4]));
    if (!done) fprintf(stderr, "%s\n", done.error().message.c_str());
    return done ? 0 : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
