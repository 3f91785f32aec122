#include "cri/nri/adjust_scheduling.h"

#include <map>

#include "cri/translate/fields.h"
#include "sandbox/spec/scheduling.h"

namespace catamaran {
namespace {

// The name without the prefix that keeps it apart from C's macros.
std::string Bare(const std::string& name) { return name.substr(name.find('_') + 1); }

// The numbers of both are those of Linux.
static_assert(static_cast<int>(nri::IO_PRIORITY_RT) == spec::IoPriority::REAL_TIME);
static_assert(static_cast<int>(nri::IO_PRIORITY_BE) == spec::IoPriority::BEST_EFFORT);
static_assert(static_cast<int>(nri::IO_PRIORITY_IDLE) == spec::IoPriority::IDLE);

Status AdjustIoPriority(const nri::LinuxIOPriority& wanted, spec::ProcessSpec* process) {
  if (!nri::IOPrioClass_IsValid(wanted.class_()))
    return WrongField("linux.io_priority.class", static_cast<int64_t>(wanted.class_()),
                      "IOPRIO_CLASS_RT, _BE, _IDLE or _NONE");
  if (wanted.priority() < 0 || wanted.priority() > 7)
    return WrongField("linux.io_priority.priority", wanted.priority(), "from 0 (first) to 7");
  if (wanted.class_() == nri::IO_PRIORITY_NONE && wanted.priority() != 0)
    return WrongField("linux.io_priority.priority", wanted.priority(), "0 of IOPRIO_CLASS_NONE");
  process->mutable_io_priority()->set_kind(static_cast<spec::IoPriority::Kind>(wanted.class_()));
  process->mutable_io_priority()->set_level(static_cast<uint32_t>(wanted.priority()));
  return {};
}

Result<spec::Scheduler::Policy> PolicyOf(nri::LinuxSchedulerPolicy policy) {
  static const std::map<nri::LinuxSchedulerPolicy, spec::Scheduler::Policy> kPolicies = {
      {nri::SCHEDULE_OTHER, spec::Scheduler::OTHER},
      {nri::SCHEDULE_FIFO, spec::Scheduler::FIFO},
      {nri::SCHEDULE_RR, spec::Scheduler::ROUND_ROBIN},
      {nri::SCHEDULE_BATCH, spec::Scheduler::BATCH},
      {nri::SCHEDULE_IDLE, spec::Scheduler::IDLE},
      {nri::SCHEDULE_DEADLINE, spec::Scheduler::DEADLINE}};
  if (policy == nri::SCHEDULE_ISO)
    return UnsupportedField("linux.scheduler.policy", "no kernel has SCHED_ISO");
  const auto found = kPolicies.find(policy);
  if (found != kPolicies.end()) return found->second;
  return WrongField("linux.scheduler.policy", static_cast<int64_t>(policy),
                    "SCHED_OTHER, _FIFO, _RR, _BATCH, _IDLE or _DEADLINE");
}

// A flag's member of the enumeration is the number of its bit (linux/sched.h, SCHED_FLAG_*).
Result<uint64_t> FlagsOf(const nri::LinuxScheduler& wanted) {
  uint64_t flags = 0;
  for (int i = 0; i < wanted.flags_size(); ++i) {
    const auto flag = static_cast<nri::LinuxSchedulerFlag>(wanted.flags(i));
    const std::string field = fmt::format("linux.scheduler.flags[{}]", i);
    if (!nri::LinuxSchedulerFlag_IsValid(flag))
      return WrongField(field, static_cast<int64_t>(flag), "one of SCHED_FLAG_*");
    if (flag == nri::SCHEDULE_UTIL_CLAMP_MIN || flag == nri::SCHEDULE_UTIL_CLAMP_MAX)
      return UnsupportedField(field, "SCHED_FLAG_" + Bare(nri::LinuxSchedulerFlag_Name(flag)) +
                                         " comes without a value to clamp to");
    flags |= uint64_t{1} << flag;
  }
  return flags;
}

Status AdjustScheduler(const nri::LinuxScheduler& wanted, spec::ProcessSpec* process) {
  spec::Scheduler scheduler;
  ASSIGN_OR_RETURN(const auto policy, PolicyOf(wanted.policy()));
  scheduler.set_policy(policy);
  scheduler.set_nice(wanted.nice());
  if (wanted.priority() < 0)
    return WrongField("linux.scheduler.priority", wanted.priority(),
                      "from 1 to 99, of SCHED_FIFO and SCHED_RR");
  scheduler.set_priority(static_cast<uint32_t>(wanted.priority()));
  ASSIGN_OR_RETURN(const uint64_t flags, FlagsOf(wanted));
  scheduler.set_flags(flags);
  scheduler.set_runtime_ns(wanted.runtime());
  scheduler.set_deadline_ns(wanted.deadline());
  scheduler.set_period_ns(wanted.period());
  *process->mutable_scheduler() = scheduler;
  return {};
}

}  // namespace

Status AdjustScheduling(const nri::LinuxContainerAdjustment& linux, spec::ProcessSpec* process) {
  if (linux.has_io_priority()) RETURN_IF_ERROR(AdjustIoPriority(linux.io_priority(), process));
  if (linux.has_scheduler()) RETURN_IF_ERROR(AdjustScheduler(linux.scheduler(), process));
  return CheckScheduling(*process, "linux.");
}

}  // namespace catamaran
