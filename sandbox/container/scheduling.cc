#include "sandbox/container/scheduling.h"

#include <linux/ioprio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace catamaran {
namespace {

// struct sched_attr of sched_setattr(2) in its first form, which every kernel takes; the C library
// has it since 2.41 only.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

tl::unexpected<Error> Refused(const std::string& field, const char* needed) {
  const int error_number = errno;
  if (error_number != EPERM) return FailErrno(error_number, field);
  return FailErrno(error_number, field + " takes " + needed);
}

Status SetIoPriority(const spec::IoPriority& wanted, pid_t pid) {
  const int value = IOPRIO_PRIO_VALUE(static_cast<int>(wanted.kind()), wanted.level());
  if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, value) == 0) return {};
  return Refused(fmt::format("process.io_priority {} {}",
                             spec::IoPriority::Kind_Name(wanted.kind()), wanted.level()),
                 "CAP_SYS_NICE or CAP_SYS_ADMIN");
}

Status SetScheduler(const spec::Scheduler& wanted, pid_t pid) {
  SchedulingAttributes attributes;
  attributes.policy = static_cast<uint32_t>(wanted.policy());
  attributes.flags = wanted.flags();
  attributes.nice = wanted.nice();
  attributes.priority = wanted.priority();
  attributes.runtime = wanted.runtime_ns();
  attributes.deadline = wanted.deadline_ns();
  attributes.period = wanted.period_ns();
  if (syscall(SYS_sched_setattr, pid, &attributes, 0) == 0) return {};
  const bool real_time =
      wanted.policy() == spec::Scheduler::FIFO || wanted.policy() == spec::Scheduler::ROUND_ROBIN;
  return Refused(
      fmt::format("process.scheduler {}", spec::Scheduler::Policy_Name(wanted.policy())),
      // A group of cgroup v1 has none unless it is given some (sched-rt-group.rst).
      real_time ? "CAP_SYS_NICE and, of a kernel with CONFIG_RT_GROUP_SCHED, real-time runtime of "
                  "the container's cgroup"
                : "CAP_SYS_NICE");
}

}  // namespace

Status ApplyScheduling(const spec::ProcessSpec& process, pid_t pid) {
  if (process.has_io_priority()) RETURN_IF_ERROR(SetIoPriority(process.io_priority(), pid));
  if (process.has_scheduler()) RETURN_IF_ERROR(SetScheduler(process.scheduler(), pid));
  return {};
}

}  // namespace catamaran
