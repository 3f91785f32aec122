#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// How fast a pod may receive (ingress) and send (egress), in bits a second; 0: as it likes.
struct PodBandwidth {
  uint64_t ingress = 0, egress = 0;
  bool limited() const { return ingress != 0 || egress != 0; }
};

inline constexpr char kIngressBandwidth[] = "kubernetes.io/ingress-bandwidth";
inline constexpr char kEgressBandwidth[] = "kubernetes.io/egress-bandwidth";

// Of a pod's annotations, quantities between the kubelet's own limits (1k to 1P,
// k8s.io/kubernetes/pkg/util/bandwidth). kInvalidArgument names the annotation that is wrong.
Result<PodBandwidth> ReadBandwidth(const std::map<std::string, std::string>& annotations);

// What may pass at once, in bits, before this rate holds: a tenth of a second's, and never less
// than a few packets. Kubernetes has no word for it.
uint64_t BurstOf(uint64_t rate);

// A Kubernetes quantity ("10M", "1.5Gi", "2e6") as a whole number, rounded up.
Result<uint64_t> ParseQuantity(const std::string& text);

}  // namespace catamaran
