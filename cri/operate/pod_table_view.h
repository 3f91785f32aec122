#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cri/api/runtime.pb.h"

namespace catamaran {

// What `catamaran top` shows, made of what the daemon answers. Pure.

struct PodRow {
  std::string id, name, handler;  // name: "namespace/name"
  bool ready = false;
  std::optional<double> cores;        // that it uses; none: not known yet
  std::optional<uint64_t> memory;     // working set on the node, all of it
  std::optional<uint64_t> tax;        // of it: not its containers'
  int containers = 0;                 // that run
  std::chrono::nanoseconds start{0};  // that its start took us
  std::chrono::nanoseconds age{0};
};

enum class PodOrder { kCpu, kMemory, kTax, kStart, kAge, kName };
// "cpu", "memory", "tax", "start", "age", "name".
std::optional<PodOrder> OrderNamed(const std::string& name);

// Rows of all pods. Without a handler and a start: those are in the verbose status of each.
std::vector<PodRow> RowsOf(const ::runtime::v1::ListPodSandboxResponse& pods,
                           const ::runtime::v1::ListPodSandboxStatsResponse& stats,
                           const ::runtime::v1::ListContainersResponse& containers,
                           std::chrono::nanoseconds now);

void Sort(PodOrder order, std::vector<PodRow>* rows);

// `width` columns at most, and `height` lines where it is not 0: the last then says what is left
// out. `calls`: those in flight.
std::string TableText(const std::vector<PodRow>& rows, size_t calls, size_t width, size_t height);

}  // namespace catamaran
