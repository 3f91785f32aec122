#include "sandbox/container/hostile_files/file_attacks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "sandbox/base/files.h"
#include "sandbox/container/user.h"

namespace catamaran {
namespace {

// Long for what takes microseconds.
constexpr int kPatienceMilliseconds = 10'000;

Result<ProcessUser> Resolve(const std::filesystem::path& root, const std::string& name) {
  ASSIGN_OR_RETURN(const auto fd, OpenFile(root, O_PATH | O_DIRECTORY));
  spec::UserSpec user;
  user.set_user(name);
  return ResolveUser(fd.get(), user);
}

}  // namespace

FileAttacks::FileAttacks()
    : folder_(testing::TempDir() + "/files-" + std::to_string(getpid())),
      passwd_(folder_ / "root/etc/passwd") {
  std::filesystem::create_directories(passwd_.parent_path());
}

FileAttacks::~FileAttacks() { std::filesystem::remove_all(folder_); }

bool FileAttacks::EndsWithAFifo() {
  EXPECT_EQ(mkfifo(passwd_.c_str(), 0644), 0);
  const pid_t child = fork();
  if (child == 0) _exit(Resolve(folder_ / "root", "app") ? 1 : 0);
  const UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  pollfd event{handle.get(), POLLIN, 0};
  const bool ended = poll(&event, 1, kPatienceMilliseconds) == 1;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return ended;
}

uint64_t FileAttacks::GrowthByPasswdOf(uint64_t bytes) {
  std::ofstream(passwd_) << "x";
  EXPECT_EQ(truncate(passwd_.c_str(), static_cast<off_t>(bytes)), 0);
  const pid_t child = fork();
  if (child == 0) {
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    (void)Resolve(folder_ / "root", "app");
    getrusage(RUSAGE_SELF, &after);
    // MiB, as an exit code has 8 bits.
    _exit(static_cast<int>(std::min<long>((after.ru_maxrss - before.ru_maxrss) >> 10, 255)));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return static_cast<uint64_t>(WEXITSTATUS(status)) << 20;
}

int64_t FileAttacks::UidOfTheMachinesFile() {
  std::ofstream(folder_ / "secret") << "machine:x:4242:1::/:\n";
  std::filesystem::create_symlink(folder_ / "secret", passwd_);
  const auto user = Resolve(folder_ / "root", "machine");
  return user ? static_cast<int64_t>(user->ids.uid()) : -1;
}

}  // namespace catamaran
