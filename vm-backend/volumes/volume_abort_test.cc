// Server and pump kill themselves at their N-th step, for N = 1, 2, ... until a program that uses a
// volume never meets it: whatever the step, the program comes to its end by trying again, and the
// host has what it did.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "vm-backend/volumes/volume_testing.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSize = 150'000;

// Errors that a killed half may cost.
bool MayComeBack(int problem) { return problem == EIO || problem == EBADF || problem == ESTALE; }

// Until `operation`, which gives 0 or errno, is done; `done` is what it gives where an earlier try
// of it was carried out and not answered.
template <typename Operation>
int UntilDone(int done, Operation operation) {
  for (int tries = 0; tries < 1000; ++tries, usleep(10'000)) {
    const int problem = operation();
    if (problem == 0 || (tries > 0 && problem == done)) return 0;
    if (!MayComeBack(problem)) return problem;
  }
  return ETIMEDOUT;
}

int Errno(int result) { return result < 0 ? errno : 0; }

int WriteAndSync(const fs::path& path) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) return errno;
  const std::string content(kSize, 'c');
  if (const auto written = WriteAll(fd.get(), content); !written)
    return written.error().system_errno;
  return Errno(fsync(fd.get()));
}

int ReadBack(const fs::path& path) {
  const auto content = ReadFile(path);
  if (!content) return content.error().system_errno;
  return *content == std::string(kSize, 'c') ? 0 : EILSEQ;
}

int List(const fs::path& path) {
  DIR* folder = opendir(path.c_str());
  if (folder == nullptr) return errno;
  int names = 0;
  errno = 0;
  while (readdir(folder) != nullptr) ++names;
  const int problem = errno;
  closedir(folder);
  return problem != 0 ? problem : names == 3 ? 0 : EILSEQ;  // the two dots and one file
}

int UseVolume(const fs::path& volume) {
  const fs::path folder = volume / "folder";
  const fs::path written = folder / "written", moved = folder / "moved";
  if (const int e = UntilDone(EEXIST, [&] { return Errno(mkdir(folder.c_str(), 0755)); })) return e;
  if (const int e = UntilDone(0, [&] { return WriteAndSync(written); })) return e;
  if (const int e =
          UntilDone(ENOENT, [&] { return Errno(rename(written.c_str(), moved.c_str())); }))
    return e;
  if (const int e = UntilDone(0, [&] { return ReadBack(moved); })) return e;
  if (const int e = UntilDone(0, [&] { return List(folder); })) return e;
  if (const int e = UntilDone(0, [&] { return Errno(chmod(moved.c_str(), 0600)); })) return e;
  const fs::path gone = volume / "gone";
  if (const int e = UntilDone(0, [&] { return WriteAndSync(gone); })) return e;
  return UntilDone(ENOENT, [&] { return Errno(unlink(gone.c_str())); });
}

class VolumeAborts : public ServedVolumeTest, public testing::WithParamInterface<const char*> {
 protected:
  void TearDown() override {
    unsetenv("CATAMARAN_ABORT_AT");
    ServedVolumeTest::TearDown();
  }
  // True where something died.
  bool LiveWith(int step) {
    EndServing();
    fs::remove_all(host() / "folder");
    setenv("CATAMARAN_ABORT_AT", (GetParam() + (":" + std::to_string(step))).c_str(), 1);
    Serve();
    if (HasFatalFailure()) return false;
    const pid_t first = server_->pid();
    const fs::path volume = Mounted("");
    const int outcome = Ended(Program([&] { return UseVolume(volume); }));
    EXPECT_EQ(outcome, 0) << strerror(outcome);
    EXPECT_EQ(Read(host() / "folder/moved").size(), kSize);
    EXPECT_EQ(ListDirectory(host()).value(), std::vector<std::string>{"folder"});
    EXPECT_EQ(ListDirectory(host() / "folder").value(), std::vector<std::string>{"moved"});
    EXPECT_FALSE(server_ended_);
    return server_->pid() != first || pump_->session() > 1;
  }
};

TEST_P(VolumeAborts, CostNoMoreThanATryAgain) {
  int step = 1;
  while (step < 1000 && LiveWith(step) && !HasFailure()) ++step;
  ASSERT_FALSE(HasFailure()) << "step " << step;
  EXPECT_LT(step, 1000);
  EXPECT_GT(step, 20) << "the counter hardly fired";
  printf("%s: %d steps\n", GetParam(), step - 1);
}

INSTANTIATE_TEST_SUITE_P(Of, VolumeAborts, testing::Values("volumes", "volumes-out", "volumes-in"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name == "volumes"       ? "TheServer"
                                  : name == "volumes-out" ? "ThePumpsRequests"
                                                          : "ThePumpsReplies";
                         });

}  // namespace
}  // namespace catamaran
