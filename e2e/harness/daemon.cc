#include "e2e/harness/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "e2e/harness/processes.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr int kReadyFd = 3;

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const std::vector<std::string>& extra) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  all.insert(all.end(), extra.begin(), extra.end());
  return all;
}

// Spawns with stdin from /dev/null, both outputs to `output` and, if given, `ready` as fd 3.
Result<pid_t> Spawn(std::vector<std::string> arguments, std::vector<std::string> environment,
                    int output, int ready) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, output, 2);
  if (ready >= 0) posix_spawn_file_actions_adddup2(&actions, ready, kReadyFd);
  auto argv = Pointers(arguments);
  auto envp = Pointers(environment);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno(error, "start " + arguments[0]);
  return pid;
}

}  // namespace

std::string ProgramFolder() {
  namespace fs = std::filesystem;
  const fs::path own = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path sibling = own.parent_path() / "bin";
  return fs::exists(sibling / "catamaran") ? sibling : own;
}

ProgramResult RunProgram(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& extra_environment) {
  auto pipe = MakePipe();
  if (!pipe) return {-1, pipe.error().message};
  auto pid = Spawn(arguments, Environment(extra_environment), pipe->write_end.get(), -1);
  if (!pid) return {-1, pid.error().message};
  pipe->write_end.Reset();
  auto output = ReadAll(pipe->read_end.get(), 64 << 20);
  int status = 0;
  waitpid(*pid, &status, 0);
  return {ExitCodeOf(status), output ? *output : output.error().message};
}

Result<pid_t> StartProgram(const std::vector<std::string>& arguments, const std::string& log_file) {
  ASSIGN_OR_RETURN(const UniqueFd log, OpenFile(log_file, O_CREAT | O_APPEND | O_WRONLY, 0600));
  return Spawn(arguments, Environment({}), log.get(), -1);
}

Status Daemon::Start(std::vector<std::string> extra_environment) {
  Kill();
  ASSIGN_OR_RETURN(Pipe ready, MakePipe());
  ASSIGN_OR_RETURN(UniqueFd log, OpenFile(options_.log_file, O_CREAT | O_APPEND | O_WRONLY, 0600));
  // The spawned copies must not meet their own targets.
  UniqueFd ready_copy(fcntl(ready.write_end.get(), F_DUPFD_CLOEXEC, 10));
  UniqueFd log_copy(fcntl(log.get(), F_DUPFD_CLOEXEC, 10));
  ready.write_end.Reset();
  extra_environment.insert(extra_environment.begin(), options_.environment.begin(),
                           options_.environment.end());
  std::vector<std::string> arguments = {
      ProgramFolder() + "/catamaran", "serve",      "--config",
      options_.config_file,           "--ready-fd", std::to_string(kReadyFd)};
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  ASSIGN_OR_RETURN(pid_, Spawn(std::move(arguments), Environment(extra_environment), log_copy.get(),
                               ready_copy.get()));
  ready_copy.Reset();
  pollfd waiting{ready.read_end.get(), POLLIN, 0};
  if (poll(&waiting, 1, 120'000) <= 0) {
    Kill();
    return Fail(ErrorCode::kDeadlineExceeded, "the daemon did not serve within 120 s; see {}",
                options_.log_file);
  }
  char byte = 0;
  if (read(ready.read_end.get(), &byte, 1) == 1) return {};
  Kill();
  auto text = ReadFile(options_.log_file);
  return Fail(ErrorCode::kUnavailable, "the daemon ended before it served:\n{}",
              text ? text->substr(text->size() > 3000 ? text->size() - 3000 : 0) : "");
}

int Daemon::Terminate() {
  if (pid_ == 0) return -1;
  kill(pid_, SIGTERM);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = 0;
  return ExitCodeOf(status);
}

void Daemon::Kill() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

bool Daemon::running() {
  if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ != 0;
}

bool Daemon::WaitForEnd(std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (running()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace catamaran::e2e
