#include "cri/operate/node_gauges.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "cri/base/version.h"
#include "cri/telemetry/process_memory.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_lock.h"

namespace catamaran {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;
using Calls = std::vector<CallsInFlight::Call>;
using Counts = std::map<std::pair<std::string, std::string>, double>;

struct PodFacts {
  std::string handler;
  ShimPaths paths;
  pid_t machine = 0;  // its virtual machine's process; 0: none
};

struct Survey {
  Counts pods, containers;  // by handler and state
  std::vector<PodFacts> with_shims;
};

pid_t MachineOf(const record::PodRecord& record) {
  const auto found = record.details().find("vmm_pid");
  if (found == record.details().end()) return 0;
  pid_t pid = 0;
  const std::string& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

template <typename State>
std::string StateName(State state) {
  std::string name(Name(state));
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

// Zeroes too: what was there a moment ago must not be without a value now.
Survey Take(Pods& pods) {
  Survey survey;
  for (const HandlerConfig& handler : pods.config().handlers) {
    for (const SandboxState state : {SandboxState::kCreating, SandboxState::kReady,
                                     SandboxState::kNotReady, SandboxState::kRemoving})
      survey.pods[{handler.name, StateName(state)}] = 0;
    for (const ContainerState state :
         {ContainerState::kCreating, ContainerState::kCreated, ContainerState::kRunning,
          ContainerState::kExited, ContainerState::kUnknown, ContainerState::kRemoving})
      survey.containers[{handler.name, StateName(state)}] = 0;
  }
  for (const auto& pod : pods.table().Pods()) {
    const std::lock_guard lock(pod->mutex);
    const std::string& handler = pod->record.handler();
    ++survey.pods[{handler, StateName(pod->state())}];
    for (const auto& [id, container] : pod->containers)
      ++survey.containers[{handler, StateName(container->state())}];
    if (pod->shim) survey.with_shims.push_back({handler, pod->paths, MachineOf(pod->record)});
  }
  return survey;
}

GaugeFamily FromCounts(const char* name, const char* help, const Counts& counts) {
  GaugeFamily family{name, help, {}};
  for (const auto& [key, value] : counts)
    family.samples.push_back({{{"handler", key.first}, {"state", key.second}}, value});
  return family;
}

double MemoryOfShim(const ShimPaths& paths) {
  const auto lock = LookAtLock(paths);
  if (!lock || lock->holder != ShimLockState::Holder::kShim) return 0;
  return static_cast<double>(PrivateMemoryOf(lock->shim).value_or(0));
}

// The number may belong to another process by now.
double MemoryOfMachine(pid_t pid) {
  const auto name = ReadFile(fmt::format("/proc/{}/comm", pid));
  if (!name || !name->starts_with("qemu")) return 0;
  return static_cast<double>(PrivateMemoryOf(pid).value_or(0));
}

GaugeFamily MemoryGauges(Pods& pods, const std::vector<PodFacts>& with_shims) {
  std::map<std::pair<std::string, std::string>, double> memory;
  memory[{"daemon", ""}] = static_cast<double>(PrivateMemoryOf(getpid()).value_or(0));
  memory[{"template_keeper", ""}] = MemoryOfShim(pods.config().KeeperPaths());
  for (const HandlerConfig& handler : pods.config().handlers) {
    memory[{"shims", handler.name}] = 0;
    if (handler.hull == HandlerConfig::Hull::kVm) memory[{"machines", handler.name}] = 0;
  }
  for (const PodFacts& pod : with_shims) {
    memory[{"shims", pod.handler}] += MemoryOfShim(pod.paths);
    if (pod.machine > 0) memory[{"machines", pod.handler}] += MemoryOfMachine(pod.machine);
  }
  GaugeFamily family{"catamaran_process_private_memory_bytes",
                     "Memory of our own processes that nobody shares, summed by their kind",
                     {}};
  for (const auto& [key, value] : memory)
    family.samples.push_back({{{"process", key.first}, {"handler", key.second}}, value});
  return family;
}

void AddPool(Pods& pods, std::vector<GaugeFamily>* families) {
  GaugeFamily wanted{"catamaran_pool_wanted", "Machines that shall wait for pods", {}};
  GaugeFamily waiting{"catamaran_pool_waiting", "Machines that wait for pods", {}};
  GaugeFamily events{"catamaran_pool_events_total",
                     "What became of machines of the pool",
                     {},
                     GaugeFamily::Kind::kCounter};
  for (const MachinePool::Facts& pool : pods.pool().List()) {
    const Labels labels{{"handler", pool.handler}};
    wanted.samples.push_back({labels, static_cast<double>(pool.wanted)});
    waiting.samples.push_back({labels, static_cast<double>(pool.waiting)});
    for (const auto& [event, count] :
         {std::pair{"made", pool.made}, std::pair{"used", pool.used}, std::pair{"lost", pool.lost},
          std::pair{"failed_claim", pool.failed_claims}})
      events.samples.push_back(
          {{{"handler", pool.handler}, {"event", event}}, static_cast<double>(count)});
  }
  for (GaugeFamily* family : {&wanted, &waiting, &events}) families->push_back(std::move(*family));
}

GaugeFamily InFlight(const Calls& calls) {
  std::map<std::string, double> counts;
  for (const CallsInFlight::Call& call : calls) ++counts[call.method];
  GaugeFamily family{"catamaran_rpc_in_flight", "Calls of the CRI that are being answered", {}};
  for (const auto& [method, count] : counts)
    family.samples.push_back({{{"method", method}}, count});
  return family;
}

GaugeFamily OldestCall(const Calls& calls) {
  double oldest = 0;
  for (const CallsInFlight::Call& call : calls) {
    if (call.method == "GetContainerEvents") continue;  // a subscription, meant to last
    const auto age = CallsInFlight::Clock::now() - call.began;
    oldest = std::max(oldest, std::chrono::duration<double>(age).count());
  }
  return {"catamaran_rpc_oldest_in_flight_seconds",
          "For how long the oldest call but subscriptions has been waiting",
          {{{}, oldest}}};
}

}  // namespace

std::vector<GaugeFamily> NodeGauges(Pods& pods, const CallsInFlight& calls) {
  const Survey survey = Take(pods);
  std::vector<GaugeFamily> families;
  families.push_back(
      {"catamaran_build_info", "The daemon that answers", {{{{"version", Version()}}, 1}}});
  families.push_back(
      FromCounts("catamaran_pods", "Pods that have a record, by state", survey.pods));
  families.push_back(FromCounts("catamaran_containers", "Containers that have a record, by state",
                                survey.containers));
  AddPool(pods, &families);
  families.push_back(MemoryGauges(pods, survey.with_shims));
  const Calls in_flight = calls.List();
  families.push_back(InFlight(in_flight));
  families.push_back(OldestCall(in_flight));
  return families;
}

}  // namespace catamaran
