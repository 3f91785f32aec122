// Kills a process at every step of pulling and removing, and looks at what it left.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "cri/images/reference.h"
#include "cri/registry/testing/pull_lab.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kHelperArgument[] = "--cycle";

// What the killed process does: two images that share a layer, one of them removed again.
Status Cycle(const HostPath& root, const std::string& registry) {
  ASSIGN_OR_RETURN(const auto store, ImageStore::Open(root));
  ImagePuller puller(*store, {});
  ASSIGN_OR_RETURN(const auto one, puller.Pull(registry + "/one:1", std::nullopt, {}));
  RETURN_IF_ERROR(puller.Pull(registry + "/two:1", std::nullopt, {}));
  return store->Remove(one.id);
}

// The exit status of this program run as the helper, with a step to die at.
int RunCycle(const std::string& root, const std::string& registry, int abort_at) {
  std::vector<std::string> texts = {"/proc/self/exe", kHelperArgument, root, registry};
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

class PullCrashTest : public PullLab {
 protected:
  void SetUp() override {
    AddImage(*registry_, "one", "1", one_);
    AddImage(*registry_, "two", "1", two_);
  }

  // Every image there is must be whole, nothing else may be left, and what was interrupted works.
  void ExpectConsistent(const std::filesystem::path& root) {
    puller_.reset();
    store_.reset();
    auto opened = ImageStore::Open(HostPath(root));
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    std::set<std::string> expected;
    const auto images = store_->List().value();
    for (const auto& image : images)
      for (const auto& diff_id : image.diff_ids) expected.insert(DigestHex(diff_id) + ".erofs");
    const auto blobs = ListDirectory(root / "blobs").value();
    EXPECT_EQ(std::set<std::string>(blobs.begin(), blobs.end()), expected);
    for (const auto& blob : blobs)
      EXPECT_TRUE(ReadFile(root / "blobs" / blob).value() ==
                  ReadFile(scratch_ / ("good/blobs/" + blob)).value())
          << blob;
    EXPECT_TRUE(ListDirectory(root / "tmp")->empty());
    MakePuller();
    for (const char* name : {"/one:1", "/two:1"}) {
      const auto pulled = Pull(registry_->address() + name);
      EXPECT_TRUE(pulled) << pulled.error().message;
    }
    puller_.reset();
    store_.reset();
  }

  const std::string shared_ = Layer("shared", 100'000, 1);
  const TestImage one_{.layers = {shared_, Layer("one", 100, 2), Layer("more", 100, 3)}};
  const TestImage two_{.layers = {shared_, Layer("two", 100, 4)}};
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry();
};

TEST_F(PullCrashTest, AnImageIsWholeOrAbsentWhereverThePullDies) {
  {
    auto good = ImageStore::Open(HostPath(scratch_ / "good")).value();
    ImagePuller puller(*good, {});
    ASSERT_TRUE(puller.Pull(registry_->address() + "/one:1", std::nullopt, {}));
    ASSERT_TRUE(puller.Pull(registry_->address() + "/two:1", std::nullopt, {}));
  }
  int step = 1;
  for (;; ++step) {
    SCOPED_TRACE("killed at step " + std::to_string(step));
    const auto root = scratch_ / ("root" + std::to_string(step));
    const int status = RunCycle(root.string(), registry_->address(), step);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      break;
    }
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    ExpectConsistent(root);
    ASSERT_TRUE(RemoveTree(root));
    ASSERT_LT(step, 200);
  }
  EXPECT_GT(step, 10);
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  if (argc == 4 && std::string(argv[1]) == catamaran::kHelperArgument) {
    catamaran::InitAbortSteps("daemon");
    const auto done = catamaran::Cycle(catamaran::HostPath(argv[2]), argv[3]);
    if (!done) fprintf(stderr, "%s\n", done.error().message.c_str());
    return done ? 0 : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
