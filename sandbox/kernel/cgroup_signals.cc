#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/cgroup_files.h"

// Freezing and killing whole groups.
namespace catamaran {
namespace {

constexpr size_t kMostPidfds = 64;

Status WaitForFrozenV2(int directory, bool frozen, Deadline deadline) {
  ASSIGN_OR_RETURN(auto events, OpenFileAt(directory, "cgroup.events", O_RDONLY));
  while (true) {
    if (lseek(events.get(), 0, SEEK_SET) != 0) return FailWithErrno("rewind cgroup.events");
    ASSIGN_OR_RETURN(const auto text, ReadAll(events.get(), 4096));
    if (FindCgroupKey(text + "\n", "frozen").value_or(0) == (frozen ? 1u : 0u)) return {};
    if (deadline.expired())
      return Fail(ErrorCode::kDeadlineExceeded, "processes are still running");
    pollfd poll_fd{events.get(), POLLPRI, 0};
    poll(&poll_fd, 1, static_cast<int>(deadline.Remaining().count()));
  }
}

// cgroup v1 has no event for it, and stays FREEZING while a process cannot be stopped; writing
// again makes it look anew (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
Status WaitForStateV1(int directory, const std::string& wanted, Deadline deadline) {
  constexpr std::chrono::microseconds kLongestPause(5000);
  for (std::chrono::microseconds pause(100);; pause = std::min(pause * 2, kLongestPause)) {
    RETURN_IF_ERROR(WriteExistingAt(directory, "freezer.state", wanted));
    ASSIGN_OR_RETURN(const auto state, ReadCgroupFile(directory, "freezer.state"));
    if (state == wanted) return {};
    if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "the group is {}", state);
    std::this_thread::sleep_for(pause);
  }
}

// What v1 has frozen cannot die, and a group below keeps its own state when one above thaws.
void ThawTreeV1(int directory) {
  (void)WriteExistingAt(directory, "freezer.state", "THAWED");
  const auto names = ListCgroupDirectories(directory);
  if (!names) return;
  for (const auto& name : *names)
    if (auto child = OpenFileAt(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
      ThawTreeV1(child->get());
}

int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

void SignalPidfd(int pidfd, int signal) {
  syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

// Waits for the first of these to end; returns at once where one has ended already.
void WaitForAnyEnd(const std::vector<pid_t>& pids, Deadline deadline) {
  std::vector<UniqueFd> pidfds;
  std::vector<pollfd> polls;
  for (const pid_t pid : pids) {
    UniqueFd pidfd(OpenPidfd(pid));
    if (!pidfd.valid()) continue;
    polls.push_back({pidfd.get(), POLLIN, 0});
    pidfds.push_back(std::move(pidfd));
    if (pidfds.size() == kMostPidfds) break;
  }
  // A group that keeps forking is looked at again soon, as is one whose dead wait to be reaped.
  constexpr std::chrono::milliseconds kLongest(50);
  const auto wait = std::min(deadline.Remaining(), kLongest);
  const int ended = poll(polls.data(), polls.size(), static_cast<int>(wait.count()));
  if (ended != 0 || polls.empty())
    std::this_thread::sleep_for(std::min(wait, std::chrono::milliseconds(1)));
}

}  // namespace

Status Cgroup::SetFrozen(bool frozen, Deadline deadline) const {
  // The v2 freezer is preferred where a hybrid machine has both: what it froze can be killed.
  if (const auto* unified = Unified();
      unified != nullptr && faccessat(unified->fd.get(), "cgroup.freeze", F_OK, 0) == 0) {
    RETURN_IF_ERROR(WriteExistingAt(unified->fd.get(), "cgroup.freeze", frozen ? "1" : "0"));
    return WaitForFrozenV2(unified->fd.get(), frozen, deadline);
  }
  const int directory = DirectoryOf("freezer");
  if (directory < 0)
    return Fail(ErrorCode::kFailedPrecondition, "this machine has no freezer for the group");
  return WaitForStateV1(directory, frozen ? "FROZEN" : "THAWED", deadline);
}

Status Cgroup::Freeze(Deadline deadline) const {
  auto frozen = SetFrozen(true, deadline);
  if (frozen) return {};
  (void)SetFrozen(false, Deadline::After(std::chrono::milliseconds(0)));
  return tl::unexpected(std::move(frozen).error().While("freeze cgroup " + path_));
}

Status Cgroup::Thaw(Deadline deadline) const {
  auto thawed = SetFrozen(false, deadline);
  if (thawed) return {};
  return tl::unexpected(std::move(thawed).error().While("thaw cgroup " + path_));
}

// One round. Whoever forks meanwhile is caught by cgroup.kill, or by the next round.
Status Cgroup::SignalAll() const {
  const auto* unified = Unified();
  const bool killed = unified != nullptr && WriteExistingAt(unified->fd.get(), "cgroup.kill", "1");
  // Without cgroup.kill (Linux 5.14) a group that forks as fast as we kill must be stopped first.
  if (!killed) (void)SetFrozen(true, Deadline::After(std::chrono::milliseconds(200)));
  ASSIGN_OR_RETURN(const auto pids, Processes(Depth::kTree));
  std::vector<std::pair<pid_t, UniqueFd>> opened;
  for (size_t first = 0; first < pids.size(); first += kMostPidfds) {
    opened.clear();
    for (size_t i = first; i < std::min(pids.size(), first + kMostPidfds); ++i) {
      UniqueFd pidfd(OpenPidfd(pids[i]));
      if (pidfd.valid()) opened.emplace_back(pids[i], std::move(pidfd));
    }
    // A number that was still listed after its pidfd was opened is a process of the group, even
    // if it was used anew in between.
    ASSIGN_OR_RETURN(const auto still, Processes(Depth::kTree));
    for (const auto& [pid, pidfd] : opened)
      if (std::binary_search(still.begin(), still.end(), pid)) SignalPidfd(pidfd.get(), SIGKILL);
  }
  if (const int freezer = DirectoryOf("freezer"); freezer >= 0) ThawTreeV1(freezer);
  return {};
}

Status Cgroup::KillAll(Deadline deadline) const {
  while (true) {
    RETURN_IF_ERROR(SignalAll());
    ASSIGN_OR_RETURN(const auto pids, Processes(Depth::kTree));
    if (pids.empty()) return {};
    if (deadline.expired())
      return Fail(ErrorCode::kDeadlineExceeded, "cgroup {}: {} killed processes remain, one is {}",
                  path_, pids.size(), pids.front());
    WaitForAnyEnd(pids, deadline);
  }
}

}  // namespace catamaran
