#include "cri/images/testing/crash_cycle.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "cri/images/reference.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kCycleArgument[] = "--cycle";

// How the helper ended, as waitpid(2) says.
int RunHelper(std::vector<std::string> texts, int abort_at) {
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::string variable = "CATAMARAN_ABORT_AT=daemon:" + std::to_string(abort_at);
  std::vector<char*> environment = {variable.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environment.data()), 0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

}  // namespace

int KillCycleAtEveryStep(const std::filesystem::path& scratch,
                         const std::vector<std::string>& arguments,
                         const std::function<void(const std::filesystem::path& root)>& check) {
  for (int step = 1; step < 200; ++step) {
    SCOPED_TRACE("killed at step " + std::to_string(step));
    const auto root = scratch / ("root" + std::to_string(step));
    std::vector<std::string> texts = {"/proc/self/exe", kCycleArgument, root.string()};
    texts.insert(texts.end(), arguments.begin(), arguments.end());
    const int status = RunHelper(std::move(texts), step);
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      return step - 1;
    }
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    check(root);
    EXPECT_TRUE(RemoveTree(root));
    if (testing::Test::HasFailure()) return step;
  }
  ADD_FAILURE() << "never got through";
  return 0;
}

std::optional<int> RunAsCycle(int argc, char** argv, const Cycle& cycle) {
  if (argc < 3 || std::string(argv[1]) != kCycleArgument) return std::nullopt;
  InitAbortSteps("daemon");
  const auto done = cycle(HostPath(argv[2]), std::vector<std::string>(argv + 3, argv + argc));
  if (!done) fprintf(stderr, "%s\n", done.error().message.c_str());
  return done ? 0 : 1;
}

void ExpectBlobsOfImages(ImageStore& store, const std::filesystem::path& root,
                         const std::filesystem::path& good) {
  std::set<std::string> expected;
  const auto images = store.List().value();
  for (const auto& image : images)
    for (const auto& diff_id : image.diff_ids) expected.insert(DigestHex(diff_id) + ".erofs");
  const auto blobs = ListDirectory(root / "blobs").value();
  EXPECT_EQ(std::set<std::string>(blobs.begin(), blobs.end()), expected);
  for (const auto& blob : blobs)
    EXPECT_TRUE(ReadFile(root / "blobs" / blob).value() == ReadFile(good / "blobs" / blob).value())
        << blob;
  EXPECT_TRUE(ListDirectory(root / "tmp")->empty());
}

}  // namespace catamaran
