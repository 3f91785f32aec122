// The list of what is measured of a pod as a whole: its network, by interface.
#include <algorithm>

#include "cri/metrics/metric_table.h"

namespace catamaran {
namespace {

using runtime::v1::COUNTER;

// A guest may report any number.
constexpr int kMostInterfaces = 64;

template <uint64_t (spec::InterfaceStats::*value)() const>
void EachInterface(const spec::SandboxStats& stats, const MetricSink& sink) {
  for (int i = 0; i < std::min(stats.interfaces_size(), kMostInterfaces); ++i)
    sink((stats.interfaces(i).*value)(), {stats.interfaces(i).name()});
}

const std::vector<MetricRow<spec::SandboxStats>> kPodRows = {
    {"container_network_receive_bytes_total",
     COUNTER,
     {"interface"},
     "Bytes received.",
     EachInterface<&spec::InterfaceStats::rx_bytes>},
    {"container_network_receive_errors_total",
     COUNTER,
     {"interface"},
     "Errors while receiving.",
     EachInterface<&spec::InterfaceStats::rx_errors>},
    {"container_network_receive_packets_dropped_total",
     COUNTER,
     {"interface"},
     "Packets received and dropped.",
     EachInterface<&spec::InterfaceStats::rx_dropped>},
    {"container_network_receive_packets_total",
     COUNTER,
     {"interface"},
     "Packets received.",
     EachInterface<&spec::InterfaceStats::rx_packets>},
    {"container_network_transmit_bytes_total",
     COUNTER,
     {"interface"},
     "Bytes sent.",
     EachInterface<&spec::InterfaceStats::tx_bytes>},
    {"container_network_transmit_errors_total",
     COUNTER,
     {"interface"},
     "Errors while sending.",
     EachInterface<&spec::InterfaceStats::tx_errors>},
    {"container_network_transmit_packets_dropped_total",
     COUNTER,
     {"interface"},
     "Packets that were to be sent and dropped.",
     EachInterface<&spec::InterfaceStats::tx_dropped>},
    {"container_network_transmit_packets_total",
     COUNTER,
     {"interface"},
     "Packets sent.",
     EachInterface<&spec::InterfaceStats::tx_packets>},
};

}  // namespace

std::span<const MetricRow<spec::SandboxStats>> PodMetricRows() { return kPodRows; }

}  // namespace catamaran
