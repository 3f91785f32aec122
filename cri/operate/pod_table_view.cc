#include "cri/operate/pod_table_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "cri/operate/pod_story.h"

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;

// All columns but the pod's name, which gets what is left.
constexpr size_t kOtherColumns = 75;
constexpr size_t kShortestName = 12;

std::string ShowBytes(const std::optional<uint64_t>& bytes) {
  if (!bytes) return "-";
  constexpr std::array kUnits{"B", "K", "M", "G", "T"};
  auto size = static_cast<double>(*bytes);
  size_t unit = 0;
  for (; size >= 1000 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  return unit == 0 || size >= 100 ? fmt::format("{:.0f}{}", size, kUnits[unit])
                                  : fmt::format("{:.1f}{}", size, kUnits[unit]);
}

std::string ShowCores(const std::optional<double>& cores) {
  return cores ? fmt::format("{:.1f}%", *cores * 100) : "-";
}

// The middle is what differs least: "kube-system/coredns-…-x7k2p".
std::string Shorten(const std::string& name, size_t width) {
  if (name.size() <= width) return name;
  const size_t tail = std::min<size_t>(8, width / 3);
  return name.substr(0, width - tail - 2) + ".." + name.substr(name.size() - tail);
}

void FillUsage(const v1::PodSandboxStats& stats, PodRow* row) {
  const v1::LinuxPodSandboxStats& usage = stats.linux();
  if (usage.cpu().has_usage_nano_cores())
    row->cores = static_cast<double>(usage.cpu().usage_nano_cores().value()) / 1e9;
  if (!usage.memory().has_working_set_bytes()) return;
  row->memory = usage.memory().working_set_bytes().value();
  uint64_t containers = 0;
  for (const v1::ContainerStats& container : usage.containers())
    containers += container.memory().working_set_bytes().value();
  row->tax = *row->memory > containers ? *row->memory - containers : 0;
}

std::string Header(const std::vector<PodRow>& rows, size_t calls) {
  std::map<std::string, int> by_handler;
  int containers = 0;
  double cores = 0;
  uint64_t memory = 0, tax = 0;
  for (const PodRow& row : rows) {
    ++by_handler[row.handler];
    containers += row.containers;
    cores += row.cores.value_or(0);
    memory += row.memory.value_or(0);
    tax += row.tax.value_or(0);
  }
  std::string handlers;
  for (const auto& [handler, count] : by_handler)
    handlers += fmt::format("{}{} {}", handlers.empty() ? "" : ", ", count, handler);
  return fmt::format("{} pods{}  {} containers  cpu {}  memory {}, tax {}  calls in flight {}",
                     rows.size(), handlers.empty() ? "" : " (" + handlers + ")", containers,
                     ShowCores(cores), ShowBytes(memory), ShowBytes(tax), calls);
}

}  // namespace

std::optional<PodOrder> OrderNamed(const std::string& name) {
  static const std::map<std::string, PodOrder> kOrders{
      {"cpu", PodOrder::kCpu},     {"memory", PodOrder::kMemory}, {"tax", PodOrder::kTax},
      {"start", PodOrder::kStart}, {"age", PodOrder::kAge},       {"name", PodOrder::kName}};
  const auto found = kOrders.find(name);
  return found == kOrders.end() ? std::nullopt : std::optional(found->second);
}

std::vector<PodRow> RowsOf(const v1::ListPodSandboxResponse& pods,
                           const v1::ListPodSandboxStatsResponse& stats,
                           const v1::ListContainersResponse& containers,
                           std::chrono::nanoseconds now) {
  std::map<std::string, const v1::PodSandboxStats*> usage;
  for (const v1::PodSandboxStats& one : stats.stats()) usage[one.attributes().id()] = &one;
  std::map<std::string, int> running;
  for (const v1::Container& container : containers.containers())
    if (container.state() == v1::CONTAINER_RUNNING) ++running[container.pod_sandbox_id()];
  std::vector<PodRow> rows;
  for (const v1::PodSandbox& pod : pods.items()) {
    PodRow row{.id = pod.id(),
               .name = NameOf(pod.metadata()),
               .handler = pod.runtime_handler(),
               .ready = pod.state() == v1::SANDBOX_READY,
               .containers = running[pod.id()],
               .age = now - std::chrono::nanoseconds(pod.created_at())};
    if (const auto found = usage.find(pod.id()); found != usage.end())
      FillUsage(*found->second, &row);
    rows.push_back(std::move(row));
  }
  return rows;
}

void Sort(PodOrder order, std::vector<PodRow>* rows) {
  const auto key = [order](const PodRow& row) -> double {
    switch (order) {
      case PodOrder::kCpu:
        return row.cores.value_or(-1);
      case PodOrder::kMemory:
        return row.memory ? static_cast<double>(*row.memory) : -1;
      case PodOrder::kTax:
        return row.tax ? static_cast<double>(*row.tax) : -1;
      case PodOrder::kStart:
        return static_cast<double>(row.start.count());
      case PodOrder::kAge:
        return static_cast<double>(row.age.count());
      case PodOrder::kName:
        break;
    }
    return 0;
  };
  std::stable_sort(rows->begin(), rows->end(), [&](const PodRow& a, const PodRow& b) {
    const double left = key(a), right = key(b);
    return left != right ? left > right : a.name < b.name;
  });
}

std::string TableText(const std::vector<PodRow>& rows, size_t calls, size_t width, size_t height) {
  size_t longest = kShortestName;
  for (const PodRow& row : rows) longest = std::max(longest, row.name.size());
  const size_t left = width > kOtherColumns + kShortestName ? width - kOtherColumns : kShortestName;
  const size_t name = std::min(longest, left);
  constexpr const char* kLine = "{:<{}}  {:<10.10} {:<9} {:>7} {:>8} {:>8} {:>5} {:>8} {:>7}\n";
  std::string text = Header(rows, calls).substr(0, width) + "\n\n" +
                     fmt::format(kLine, "POD", name, "HANDLER", "STATE", "CPU", "MEMORY", "TAX",
                                 "CTRS", "START", "AGE");
  constexpr size_t kAbove = 3, kBelow = 1;
  size_t shown = rows.size();
  if (height > kAbove + kBelow && rows.size() > height - kAbove - kBelow)
    shown = height - kAbove - kBelow;
  for (size_t i = 0; i < shown; ++i) {
    const PodRow& row = rows[i];
    text += fmt::format(
        kLine, Shorten(row.name, name), name, row.handler, row.ready ? "ready" : "NOT READY",
        ShowCores(row.cores), ShowBytes(row.memory), ShowBytes(row.tax), row.containers,
        row.start.count() > 0 ? ShowDuration(row.start) : "-", ShowDuration(row.age));
  }
  if (shown < rows.size()) text += fmt::format("... and {} more\n", rows.size() - shown);
  return text;
}

}  // namespace catamaran
