#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/base/unique_function.h"
#include "sandbox/kernel/event_loop.h"

namespace catamaran {

// A child of this process: known by its pidfd; the number is for people and reports only.
struct ChildProcess {
  UniqueFd pidfd;
  pid_t pid = 0;
};

struct CloneOptions {
  uint64_t namespaces = 0;        // CLONE_NEW*
  int cgroup_fd = -1;             // folder of a cgroup v2 group to be born in (CLONE_INTO_CGROUP)
  bool dies_with_parent = false;  // as DieWithParent
};

// fork(2) by clone3(2): the child has a copy of this process's memory, runs `body` and ends with
// its value; it never returns into the caller. Legal only while this process has one thread. Abort
// steps are off in the child.
Result<ChildProcess> CloneProcess(const CloneOptions& options, UniqueFunction<int()> body);

// Has the kernel kill this process when its parent ends, whatever ends it (PR_SET_PDEATHSIG), and
// ends it at once if that has happened already. `parent` is the parent's pidfd, opened before the
// clone: in a pid namespace of its own a child cannot see its parent's number. A change of user or
// group takes it back (prctl(2)): to be called again afterwards.
void DieWithParent(int parent);
// A pidfd of this process, for that.
Result<UniqueFd> OpenOwnPidfd();

// Its number as this process's /proc has it.
Result<pid_t> PidOf(int pidfd);

struct ProcessEnd {
  int exit_code = 0;  // 128+n for signal n
  int signal = 0;     // 0 where it exited by itself
};
// Reaps the child if it has ended. Does not block.
Result<std::optional<ProcessEnd>> ReapChild(int pidfd);
// Reaps the child once it ends: for children that are about to, after SIGKILL.
Status KillAndReap(int pidfd);
// Absent processes are success.
Status SendSignal(int pidfd, int signal);

// Closes every descriptor but these.
void CloseDescriptorsExcept(std::vector<int> kept);

// Enters a namespace (setns(2) with `type`, for CLONE_NEWPID that of later children) and returns
// to this process's own one when destroyed.
class ScopedNamespace {
 public:
  // target is a namespace's descriptor or a pidfd.
  static Result<ScopedNamespace> Enter(int target, int type);
  ScopedNamespace(ScopedNamespace&&) = default;
  ScopedNamespace& operator=(ScopedNamespace&& other) noexcept {
    std::swap(own_, other.own_);
    std::swap(type_, other.type_);
    return *this;
  }
  ~ScopedNamespace();

 private:
  ScopedNamespace(UniqueFd own, int type) : own_(std::move(own)), type_(type) {}
  UniqueFd own_;
  int type_;
};
// "net", "ipc", "uts", "mnt", "pid_for_children", "cgroup" of this process.
Result<UniqueFd> OpenOwnNamespace(const char* name);

// Work that may block, done in a short-lived child of this single-threaded process and reported on
// the loop: mounting, walking and removing trees. Destroying the task, or this process's end, kills
// the child; the report is dropped.
class ChildTask {
 public:
  using Work = UniqueFunction<Result<std::string>()>;
  using Report = UniqueFunction<void(Result<std::string>)>;
  // `work` runs in the child with a copy of this process's memory; its string, at most 64 KiB, or
  // its error, or why no child could be started, comes to `done`, once, on the loop's thread and
  // never from within Start. `done` may destroy the task.
  static std::unique_ptr<ChildTask> Start(EventLoop& loop, Work work, Report done);
  // The same for work that has nothing to tell but how it went.
  static std::unique_ptr<ChildTask> Start(EventLoop& loop, UniqueFunction<Status()> work,
                                          UniqueFunction<void(Status)> done);
  ~ChildTask();

 private:
  explicit ChildTask(Report done) : done_(std::move(done)) {}
  Status Clone(EventLoop& loop, Work work);
  void OnReadable();
  void Finish(Result<std::string> outcome);
  ChildProcess child_;
  UniqueFd report_fd_;
  EventLoop::Watch watch_;
  std::string received_;
  Report done_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace catamaran
