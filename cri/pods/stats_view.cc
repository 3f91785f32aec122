#include "cri/pods/stats_view.h"

#include <algorithm>

#include "cri/config/writable_layers.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/wait.h"

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;

// A rate over less than this is mostly noise: the last one is given again.
constexpr int64_t kShortestInterval = 1'000'000'000;
// cgroup v1 says "no limit" by a number near 2^63.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

void Sample(const spec::GroupStats& group, CpuSample* sample) {
  if (sample->at_ns == 0 || group.cpu().usage_ns() < sample->cpu_ns) {
    *sample = {group.cpu().usage_ns(), group.timestamp_ns(), {}};
    return;
  }
  const int64_t elapsed = group.timestamp_ns() - sample->at_ns;
  if (elapsed < kShortestInterval) return;
  const double used = static_cast<double>(group.cpu().usage_ns() - sample->cpu_ns);
  const auto rate = static_cast<uint64_t>(used * 1e9 / static_cast<double>(elapsed));
  *sample = {group.cpu().usage_ns(), group.timestamp_ns(), rate};
}

void FillShare(const spec::PressureShare& share, v1::PsiData* psi) {
  psi->set_total(share.total_us());
  psi->set_avg10(share.average_10s());
  psi->set_avg60(share.average_60s());
  psi->set_avg300(share.average_300s());
}

// Left unset where the kernel does not account for pressure.
template <typename Usage>
void FillPressure(bool has, const spec::Pressure& pressure, Usage* usage) {
  if (!has) return;
  if (pressure.has_some()) FillShare(pressure.some(), usage->mutable_psi()->mutable_some());
  if (pressure.has_full()) FillShare(pressure.full(), usage->mutable_psi()->mutable_full());
}

void FillIo(const spec::GroupStats& group, v1::IoUsage* io) {
  io->set_timestamp(group.timestamp_ns());
  FillPressure(group.has_io_pressure(), group.io_pressure(), io);
}

// What is available is unset where swap has no limit.
void FillSwap(const spec::GroupStats& group, v1::SwapUsage* swap) {
  const spec::MemoryStats& memory = group.memory();
  swap->set_timestamp(group.timestamp_ns());
  swap->mutable_swap_usage_bytes()->set_value(memory.swap_bytes());
  if (!memory.has_swap_limit_bytes()) return;
  const uint64_t limit = memory.swap_limit_bytes();
  swap->mutable_swap_available_bytes()->set_value(
      limit > memory.swap_bytes() ? limit - memory.swap_bytes() : 0);
}

void FillCpu(const spec::GroupStats& group, const CpuSample& sample, v1::CpuUsage* cpu) {
  cpu->set_timestamp(group.timestamp_ns());
  cpu->mutable_usage_core_nano_seconds()->set_value(group.cpu().usage_ns());
  if (sample.nano_cores) cpu->mutable_usage_nano_cores()->set_value(*sample.nano_cores);
  FillPressure(group.cpu().has_pressure(), group.cpu().pressure(), cpu);
}

void FillMemory(const spec::GroupStats& group, v1::MemoryUsage* memory) {
  const spec::MemoryStats& stats = group.memory();
  memory->set_timestamp(group.timestamp_ns());
  memory->mutable_usage_bytes()->set_value(stats.usage_bytes());
  memory->mutable_working_set_bytes()->set_value(stats.working_set_bytes());
  memory->mutable_rss_bytes()->set_value(stats.rss_bytes());
  memory->mutable_page_faults()->set_value(stats.page_faults());
  memory->mutable_major_page_faults()->set_value(stats.major_page_faults());
  const uint64_t limit = stats.limit_bytes();
  if (limit > 0 && limit < kNoLimit) {
    memory->mutable_available_bytes()->set_value(
        limit > stats.working_set_bytes() ? limit - stats.working_set_bytes() : 0);
  }
  FillPressure(stats.has_pressure(), stats.pressure(), memory);
}

void FillInterface(const spec::InterfaceStats& stats, v1::NetworkInterfaceUsage* interface) {
  interface->set_name(stats.name());
  interface->mutable_rx_bytes()->set_value(stats.rx_bytes());
  interface->mutable_rx_errors()->set_value(stats.rx_errors());
  interface->mutable_tx_bytes()->set_value(stats.tx_bytes());
  interface->mutable_tx_errors()->set_value(stats.tx_errors());
}

void FillNetwork(const spec::SandboxStats& stats, v1::NetworkUsage* network) {
  network->set_timestamp(stats.pod().timestamp_ns());
  const auto& all = stats.interfaces();
  if (all.empty()) return;
  const auto eth0 = std::find_if(all.begin(), all.end(),
                                 [](const auto& interface) { return interface.name() == "eth0"; });
  const auto& first = eth0 != all.end() ? *eth0 : all.Get(0);
  FillInterface(first, network->mutable_default_interface());
  for (const spec::InterfaceStats& interface : all)
    if (&interface != &first) FillInterface(interface, network->add_interfaces());
}

// The rates since the last reading. The caller holds the pod's mutex.
void SampleRates(Pod& pod, const spec::SandboxStats& stats) {
  if (stats.has_pod()) Sample(stats.pod(), &pod.cpu_sample);
  for (const spec::ContainerStats& container : stats.containers()) {
    auto found = pod.containers.find(container.container_id());
    if (found != pod.containers.end()) Sample(container.group(), &found->second->cpu_sample);
  }
}

void OnAnswer(Pod& pod, pod::StatsRequest::Extent extent, Result<spec::SandboxStats> stats) {
  std::vector<std::shared_ptr<StatsRound>> rounds;
  std::shared_ptr<const spec::SandboxStats> details;
  {
    std::lock_guard lock(pod.mutex);
    PodUsage& usage = pod.usage[extent];
    if (stats) SampleRates(pod, *stats);
    if (stats && extent == pod::StatsRequest::DETAILS)
      details = std::make_shared<const spec::SandboxStats>(std::move(*stats));
    else if (stats)
      usage.last = std::move(*stats);
    usage.asked_at.reset();
    rounds.swap(usage.rounds);
  }
  for (const auto& round : rounds) {
    std::lock_guard lock(round->mutex);
    if (details) round->details[pod.id.value()] = details;
    if (--round->missing == 0) round->complete.notify_all();
  }
}

// Waits with those who have asked already, or asks.
void Join(const std::shared_ptr<Pod>& pod, pod::StatsRequest::Extent extent,
          const std::shared_ptr<StatsRound>& round) {
  const auto now = std::chrono::steady_clock::now();
  std::shared_ptr<ShimClient> shim;
  {
    std::lock_guard lock(pod->mutex);
    PodUsage& usage = pod->usage[extent];
    if (pod->state() != SandboxState::kReady) {
      usage.last.reset();  // it uses nothing any more
      return;
    }
    if (!pod->shim) return;
    if (usage.asked_at && now - *usage.asked_at > kStatsLimit) return;
    {
      std::lock_guard round_lock(round->mutex);
      ++round->missing;
    }
    usage.rounds.push_back(round);
    if (usage.asked_at) return;
    usage.asked_at = now;
    shim = pod->shim;
  }
  pod::StatsRequest request;
  request.set_extent(extent);
  shim->AskStats(request, [weak = std::weak_ptr(pod), extent](Result<spec::SandboxStats> stats) {
    if (auto pod = weak.lock()) OnAnswer(*pod, extent, std::move(stats));
  });
}

// Returns when all have answered, or the time is over: then some may still be missing.
std::shared_ptr<StatsRound> AskAll(const std::vector<std::shared_ptr<Pod>>& pods,
                                   pod::StatsRequest::Extent extent, const CallContext& call) {
  const auto round = std::make_shared<StatsRound>();
  for (const auto& pod : pods) Join(pod, extent, round);
  std::unique_lock lock(round->mutex);
  (void)WaitFor(lock, round->complete, call.deadline.Earlier(Deadline::After(kStatsLimit)), call,
                [&] { return round->missing == 0; });
  return round;
}

}  // namespace

void RefreshStats(const std::vector<std::shared_ptr<Pod>>& pods, pod::StatsRequest::Extent extent,
                  const CallContext& call) {
  AskAll(pods, extent, call);
}

std::map<std::string, std::shared_ptr<const spec::SandboxStats>> ReadDetails(
    const std::vector<std::shared_ptr<Pod>>& pods, const CallContext& call) {
  const auto round = AskAll(pods, pod::StatsRequest::DETAILS, call);
  std::lock_guard lock(round->mutex);
  return std::move(round->details);
}

Result<spec::SandboxStats> ReadStats(Pods& pods, const std::shared_ptr<Pod>& pod,
                                     pod::StatsRequest::Extent extent, const CallContext& call) {
  {
    std::lock_guard lock(pod->mutex);
    if (pod->state() != SandboxState::kReady) return spec::SandboxStats();
  }
  ASSIGN_OR_RETURN(const PodInUse in_use, UsePod(pods, pod, call));
  pod::StatsRequest request;
  request.set_extent(extent);
  ASSIGN_OR_RETURN(auto stats, in_use.shim->Stats(request, call.deadline));
  std::lock_guard lock(pod->mutex);
  SampleRates(*pod, stats);
  return stats;
}

v1::ContainerStats ContainerStatsOf(const Pods& pods, Container& container,
                                    const spec::SandboxStats& stats) {
  v1::ContainerStats result;
  const record::ContainerRecord& record = container.record;
  result.mutable_attributes()->set_id(record.container_id());
  *result.mutable_attributes()->mutable_metadata() = record.config().metadata();
  *result.mutable_attributes()->mutable_labels() = record.config().labels();
  *result.mutable_attributes()->mutable_annotations() = record.config().annotations();
  for (const spec::ContainerStats& usage : stats.containers()) {
    if (usage.container_id() != record.container_id()) continue;
    FillCpu(usage.group(), container.cpu_sample, result.mutable_cpu());
    FillMemory(usage.group(), result.mutable_memory());
    FillSwap(usage.group(), result.mutable_swap());
    FillIo(usage.group(), result.mutable_io());
    auto* layer = result.mutable_writable_layer();
    layer->set_timestamp(usage.group().timestamp_ns());
    layer->mutable_fs_id()->set_mountpoint(WritableLayers(pods.config()).string());
    layer->mutable_used_bytes()->set_value(usage.writable_layer().used_bytes());
    layer->mutable_inodes_used()->set_value(usage.writable_layer().inodes_used());
  }
  return result;
}

v1::PodSandboxStats SandboxStatsOf(const Pods& pods, Pod& pod, const spec::SandboxStats& stats) {
  v1::PodSandboxStats result;
  const record::PodRecord& record = pod.record;
  result.mutable_attributes()->set_id(record.pod_id());
  *result.mutable_attributes()->mutable_metadata() = record.config().metadata();
  *result.mutable_attributes()->mutable_labels() = record.config().labels();
  *result.mutable_attributes()->mutable_annotations() = record.config().annotations();
  if (!stats.has_pod()) return result;
  auto* linux = result.mutable_linux();
  FillCpu(stats.pod(), pod.cpu_sample, linux->mutable_cpu());
  FillMemory(stats.pod(), linux->mutable_memory());
  FillNetwork(stats, linux->mutable_network());
  FillIo(stats.pod(), linux->mutable_io());
  linux->mutable_process()->set_timestamp(stats.pod().timestamp_ns());
  linux->mutable_process()->mutable_process_count()->set_value(stats.pod().pids());
  for (auto& [id, container] : pod.containers) {
    if (container->state() == ContainerState::kRunning)
      *linux->add_containers() = ContainerStatsOf(pods, *container, stats);
  }
  return result;
}

}  // namespace catamaran
