#include "cri/cgroups/systemd_bus.h"

#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace catamaran {
namespace {

constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kObject[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kUnitExists[] = "org.freedesktop.systemd1.UnitExists";
constexpr char kNoSuchUnit[] = "org.freedesktop.systemd1.NoSuchUnit";

struct Unreference {
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Message = std::unique_ptr<sd_bus_message, Unreference>;
using Slot = std::unique_ptr<sd_bus_slot, Unreference>;

class BusError {
 public:
  ~BusError() { sd_bus_error_free(&error_); }
  sd_bus_error* get() { return &error_; }

  Error ToError(const std::string& doing, int result) const {
    const bool is_late =
        result == -ETIMEDOUT || sd_bus_error_has_name(&error_, SD_BUS_ERROR_NO_REPLY);
    const char* text = error_.message != nullptr ? error_.message : strerror(-result);
    return {is_late ? ErrorCode::kDeadlineExceeded : Code(), -result,
            fmt::format("{}: {}{}{}", doing, text, error_.name != nullptr ? ", " : "",
                        error_.name != nullptr ? error_.name : "")};
  }

 private:
  ErrorCode Code() const {
    if (sd_bus_error_has_name(&error_, kUnitExists)) return ErrorCode::kAlreadyExists;
    if (sd_bus_error_has_name(&error_, kNoSuchUnit)) return ErrorCode::kNotFound;
    if (sd_bus_error_has_name(&error_, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
        sd_bus_error_has_name(&error_, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
      return ErrorCode::kFailedPrecondition;
    return ErrorCode::kInternal;
  }

  sd_bus_error error_ = SD_BUS_ERROR_NULL;
};

uint64_t Microseconds(Deadline deadline) {
  // 0 would be sd-bus's own default, 25 s.
  return std::max<uint64_t>(
      1, std::chrono::duration_cast<std::chrono::microseconds>(deadline.Remaining()).count());
}

// A call to the manager whose arguments are text.
template <typename... Texts>
Result<Message> CallManager(sd_bus* bus, const std::string& doing, const char* method,
                            const char* signature, Texts... texts) {
  BusError error;
  sd_bus_message* reply = nullptr;
  const int result = sd_bus_call_method(bus, kService, kObject, kManager, method, error.get(),
                                        &reply, signature, texts...);
  if (result < 0) return tl::unexpected(error.ToError(doing, result));
  return Message(reply);
}

Result<std::string> ReadPath(const Result<Message>& reply) {
  if (!reply) return tl::unexpected(reply.error());
  const char* path = nullptr;
  if (const int result = sd_bus_message_read(reply->get(), "o", &path); result < 0)
    return FailErrno(-result, "read systemd's answer");
  return std::string(path);
}

// Delegate: what is below the group is ours, and systemd neither moves processes there nor writes
// anything; an OOM kill in it ends no more than the kernel chose. TasksMax: a scope else has a
// limit of systemd's own choice. CollectMode: one that failed is forgotten too. No default
// dependencies: pods go with the kubelet's own graceful shutdown, not before it.
int AppendProperties(sd_bus_message* call, const SystemdBus::Scope& scope) {
  return sd_bus_message_append(call, "a(sv)", 7,                                       //
                               "Description", "s", scope.description.c_str(),          //
                               "Slice", "s", scope.slice.c_str(),                      //
                               "Delegate", "b", 1,                                     //
                               "PIDs", "au", 1, static_cast<uint32_t>(scope.process),  //
                               "TasksMax", "t", UINT64_MAX,                            //
                               "CollectMode", "s", "inactive-or-failed",               //
                               "DefaultDependencies", "b", 0);
}

Result<std::string> StartTransientUnit(sd_bus* bus, const SystemdBus::Scope& scope) {
  const std::string doing = fmt::format("systemd: start {} in {}", scope.name, scope.slice);
  sd_bus_message* raw = nullptr;
  int result =
      sd_bus_message_new_method_call(bus, &raw, kService, kObject, kManager, "StartTransientUnit");
  const Message call(raw);
  if (result >= 0) result = sd_bus_message_append(raw, "ss", scope.name.c_str(), "replace");
  if (result >= 0) result = AppendProperties(raw, scope);
  if (result >= 0) result = sd_bus_message_append(raw, "a(sa(sv))", 0);
  if (result < 0) return FailErrno(-result, doing);
  BusError error;
  sd_bus_message* reply = nullptr;
  result = sd_bus_call(bus, raw, 0, error.get(), &reply);
  if (result < 0) return tl::unexpected(error.ToError(doing, result));
  return ReadPath(Message(reply));
}

// Jobs that systemd says it has done, by path, with their results. One may be done before the
// answer to the call that began it is read.
using DoneJobs = std::map<std::string, std::string>;

int NoteDoneJob(sd_bus_message* signal, void* jobs, sd_bus_error*) {
  uint32_t id = 0;
  const char *job = nullptr, *unit = nullptr, *result = nullptr;
  if (sd_bus_message_read(signal, "uoss", &id, &job, &unit, &result) >= 0)
    (*static_cast<DoneJobs*>(jobs))[job] = result;
  return 0;
}

Status WaitForJob(sd_bus* bus, const std::string& doing, const std::string& job,
                  const DoneJobs& done, Deadline deadline) {
  for (;;) {
    if (const auto found = done.find(job); found != done.end()) {
      if (found->second == "done") return {};
      return Fail(ErrorCode::kInternal, "{}: its job ended as \"{}\"", doing, found->second);
    }
    int result = sd_bus_process(bus, nullptr);
    if (result < 0) return FailErrno(-result, fmt::format("{}: the bus is lost", doing));
    if (result > 0) continue;
    if (deadline.expired())
      return Fail(ErrorCode::kDeadlineExceeded, "{}: its job is not done", doing);
    result = sd_bus_wait(bus, Microseconds(deadline));
    if (result < 0 && result != -EINTR)
      return FailErrno(-result, fmt::format("{}: wait for the bus", doing));
  }
}

}  // namespace

void SystemdBus::Close::operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }

void SystemdBus::SetTimeout(Deadline deadline) {
  sd_bus_set_method_call_timeout(bus_.get(), Microseconds(deadline));
}

Result<SystemdBus> SystemdBus::Connect(Deadline deadline) {
  sd_bus* raw = nullptr;
  if (const int result = sd_bus_open_system(&raw); result < 0)
    return Fail(ErrorCode::kFailedPrecondition,
                "no systemd can be asked: the system's D-Bus does not answer: {}",
                strerror(-result));
  SystemdBus bus(raw);
  bus.SetTimeout(deadline);
  // Without a subscriber systemd tells nobody of jobs that are done.
  RETURN_IF_ERROR(CallManager(raw, "no systemd can be asked", "Subscribe", nullptr));
  return bus;
}

Status SystemdBus::RunJob(const std::string& doing,
                          const std::function<Result<std::string>()>& start, Deadline deadline) {
  SetTimeout(deadline);
  DoneJobs done;
  sd_bus_slot* raw = nullptr;
  const int result = sd_bus_match_signal(bus_.get(), &raw, kService, kObject, kManager,
                                         "JobRemoved", NoteDoneJob, &done);
  const Slot slot(raw);
  if (result < 0) return FailErrno(-result, fmt::format("{}: listen to systemd", doing));
  ASSIGN_OR_RETURN(const std::string job, start());
  return WaitForJob(bus_.get(), doing, job, done, deadline);
}

Status SystemdBus::StartScope(const Scope& scope, Deadline deadline) {
  const auto start = [&] {
    return RunJob(
        fmt::format("systemd: start {}", scope.name),
        [&] { return StartTransientUnit(bus_.get(), scope); }, deadline);
  };
  auto started = start();
  if (started || started.error().code != ErrorCode::kAlreadyExists) return started;
  (void)CallManager(bus_.get(), "", "ResetFailedUnit", "s", scope.name.c_str());
  return start();
}

Status SystemdBus::StopUnit(const std::string& name, Deadline deadline) {
  const std::string doing = fmt::format("systemd: stop {}", name);
  auto stopped = RunJob(
      doing,
      [&] {
        return ReadPath(CallManager(bus_.get(), doing, "StopUnit", "ss", name.c_str(), "replace"));
      },
      deadline);
  if (!stopped && stopped.error().code != ErrorCode::kNotFound) return stopped;
  (void)CallManager(bus_.get(), doing, "ResetFailedUnit", "s", name.c_str());
  return {};
}

Result<std::vector<std::string>> SystemdBus::FindUnits(const std::string& pattern,
                                                       const std::string& description,
                                                       Deadline deadline) {
  SetTimeout(deadline);
  ASSIGN_OR_RETURN(const Message reply,
                   CallManager(bus_.get(), "systemd: list units", "ListUnitsByPatterns", "asas", 0,
                               1, pattern.c_str()));
  std::vector<std::string> names;
  int result = sd_bus_message_enter_container(reply.get(), 'a', "(ssssssouso)");
  while (result >= 0) {
    const char *name = nullptr, *of = nullptr;
    const char* skipped = nullptr;
    uint32_t job = 0;
    result = sd_bus_message_read(reply.get(), "(ssssssouso)", &name, &of, &skipped, &skipped,
                                 &skipped, &skipped, &skipped, &job, &skipped, &skipped);
    if (result == 0) return names;
    if (result > 0 && description == of) names.emplace_back(name);
  }
  return FailErrno(-result, "systemd: read the list of units");
}

Result<std::string> SystemdBus::GroupOf(const std::string& scope, Deadline deadline) {
  const std::string doing = fmt::format("systemd: group of {}", scope);
  SetTimeout(deadline);
  ASSIGN_OR_RETURN(const std::string unit,
                   ReadPath(CallManager(bus_.get(), doing, "GetUnit", "s", scope.c_str())));
  BusError error;
  char* text = nullptr;
  const int result = sd_bus_get_property_string(bus_.get(), kService, unit.c_str(),
                                                "org.freedesktop.systemd1.Scope", "ControlGroup",
                                                error.get(), &text);
  if (result < 0) return tl::unexpected(error.ToError(doing, result));
  const std::unique_ptr<char, decltype(&free)> group(text, &free);
  return std::string(group.get());
}

Status SystemdBus::CheckProcessIds(Deadline deadline) {
  SetTimeout(deadline);
  const char* own_name = nullptr;
  int result = sd_bus_get_unique_name(bus_.get(), &own_name);
  BusError error;
  sd_bus_message* raw = nullptr;
  if (result >= 0)
    result = sd_bus_call_method(bus_.get(), "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                "org.freedesktop.DBus", "GetConnectionUnixProcessID", error.get(),
                                &raw, "s", own_name);
  if (result < 0) return tl::unexpected(error.ToError("ask the bus for a process id", result));
  const Message reply(raw);
  uint32_t pid = 0;
  if (result = sd_bus_message_read(raw, "u", &pid); result < 0)
    return FailErrno(-result, "read a process id");
  if (static_cast<pid_t>(pid) == getpid()) return {};
  return Fail(ErrorCode::kFailedPrecondition,
              "process {} is {} to systemd: the daemon must be in the machine's pid namespace",
              getpid(), pid);
}

Status CheckSystemdDriver(const CgroupTree& tree, Deadline deadline) {
  if (tree.kind() != CgroupTree::Kind::kUnified)
    return Fail(ErrorCode::kFailedPrecondition,
                "this machine has cgroup v1: boot it with systemd.unified_cgroup_hierarchy=1, or "
                "set cgroupfs here and in the kubelet");
  ASSIGN_OR_RETURN(SystemdBus bus, SystemdBus::Connect(deadline));
  return bus.CheckProcessIds(deadline);
}

}  // namespace catamaran
