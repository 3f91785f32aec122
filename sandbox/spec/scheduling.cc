#include "sandbox/spec/scheduling.h"

#include <cstdint>

namespace catamaran {
namespace {

constexpr uint32_t kLastLevel = 7;  // IOPRIO_NR_LEVELS - 1
constexpr int kFirstNice = -20, kLastNice = 19;
constexpr uint32_t kFirstPriority = 1, kLastPriority = 99;  // sched_get_priority_min(2)
// Of SCHED_FLAG_*, those that need no value which the specification has no field for.
constexpr uint64_t kFlags = 0x1f;
constexpr uint64_t kShortestRuntime = 1024;  // sched_setattr(2)

Status CheckIoPriority(const spec::IoPriority& wanted, const std::string& field) {
  if (!spec::IoPriority::Kind_IsValid(wanted.kind()))
    return Fail(ErrorCode::kInvalidArgument, "{}.kind {}: NONE, REAL_TIME, BEST_EFFORT or IDLE",
                field, static_cast<int>(wanted.kind()));
  if (wanted.level() > kLastLevel)
    return Fail(ErrorCode::kInvalidArgument, "{}.level {}: 0 (first) to {} are known", field,
                wanted.level(), kLastLevel);
  if (wanted.kind() == spec::IoPriority::NONE && wanted.level() != 0)
    return Fail(ErrorCode::kInvalidArgument, "{}.level {}: the kind NONE has none", field,
                wanted.level());
  return {};
}

Status CheckNumbers(const spec::Scheduler& wanted, const std::string& field) {
  const std::string policy = spec::Scheduler::Policy_Name(wanted.policy());
  const bool fair =
      wanted.policy() == spec::Scheduler::OTHER || wanted.policy() == spec::Scheduler::BATCH;
  if (!fair && wanted.nice() != 0)
    return Fail(ErrorCode::kInvalidArgument, "{}.nice {}: the policy {} has none", field,
                wanted.nice(), policy);
  if (wanted.nice() < kFirstNice || wanted.nice() > kLastNice)
    return Fail(ErrorCode::kInvalidArgument, "{}.nice {}: {} (first) to {} are known", field,
                wanted.nice(), kFirstNice, kLastNice);
  const bool real_time =
      wanted.policy() == spec::Scheduler::FIFO || wanted.policy() == spec::Scheduler::ROUND_ROBIN;
  if (!real_time && wanted.priority() != 0)
    return Fail(ErrorCode::kInvalidArgument, "{}.priority {}: the policy {} has none", field,
                wanted.priority(), policy);
  if (real_time && (wanted.priority() < kFirstPriority || wanted.priority() > kLastPriority))
    return Fail(ErrorCode::kInvalidArgument, "{}.priority {}: of {} {} to {} (first) are known",
                field, wanted.priority(), policy, kFirstPriority, kLastPriority);
  return {};
}

Status CheckTimes(const spec::Scheduler& wanted, const std::string& field) {
  const uint64_t runtime = wanted.runtime_ns(), deadline = wanted.deadline_ns(),
                 period = wanted.period_ns();
  if (wanted.policy() != spec::Scheduler::DEADLINE) {
    if (runtime == 0 && deadline == 0 && period == 0) return {};
    return Fail(ErrorCode::kInvalidArgument, "{}.{} {}: only the policy DEADLINE has one", field,
                runtime != 0    ? "runtime"
                : deadline != 0 ? "deadline"
                                : "period",
                runtime != 0    ? runtime
                : deadline != 0 ? deadline
                                : period);
  }
  if (runtime < kShortestRuntime)
    return Fail(ErrorCode::kInvalidArgument, "{}.runtime {}: at least {} ns are needed", field,
                runtime, kShortestRuntime);
  if (deadline < runtime || deadline > INT64_MAX)
    return Fail(ErrorCode::kInvalidArgument, "{}.deadline {}: at least the runtime, {} ns", field,
                deadline, runtime);
  if (period != 0 && (period < deadline || period > INT64_MAX))
    return Fail(ErrorCode::kInvalidArgument,
                "{}.period {}: 0 (the deadline), or at least the deadline, {} ns", field, period,
                deadline);
  return {};
}

Status CheckScheduler(const spec::Scheduler& wanted, const std::string& field) {
  if (!spec::Scheduler::Policy_IsValid(wanted.policy()))
    return Fail(ErrorCode::kInvalidArgument,
                "{}.policy {}: OTHER, FIFO, ROUND_ROBIN, BATCH, IDLE or DEADLINE", field,
                static_cast<int>(wanted.policy()));
  RETURN_IF_ERROR(CheckNumbers(wanted, field));
  RETURN_IF_ERROR(CheckTimes(wanted, field));
  if ((wanted.flags() & ~kFlags) != 0)
    return Fail(ErrorCode::kInvalidArgument,
                "{}.flags {:#x}: of RESET_ON_FORK, RECLAIM, DL_OVERRUN, KEEP_POLICY and "
                "KEEP_PARAMS, {:#x}",
                field, wanted.flags(), kFlags);
  return {};
}

}  // namespace

Status CheckScheduling(const spec::ProcessSpec& process, const std::string& prefix) {
  if (process.has_io_priority())
    RETURN_IF_ERROR(CheckIoPriority(process.io_priority(), prefix + "io_priority"));
  if (process.has_scheduler())
    RETURN_IF_ERROR(CheckScheduler(process.scheduler(), prefix + "scheduler"));
  return {};
}

}  // namespace catamaran
