#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

struct PortMapping {
  enum class Protocol { kTcp, kUdp, kSctp };
  Protocol protocol = Protocol::kTcp;
  uint16_t container_port = 0;
  uint16_t host_port = 0;
  std::string host_ip;  // empty: every address
};
const char* ProtocolName(PortMapping::Protocol protocol);  // "tcp", "udp", "sctp"

struct PodNetworkRequest {
  PodId pod;
  std::string pod_name, pod_namespace, pod_uid;  // CNI_ARGS
  std::vector<PortMapping> ports;
  // What plugins may ask for beside that; the built-in network needs none of it.
  std::map<std::string, std::string> annotations;
  struct Dns {
    std::vector<std::string> servers, searches, options;
  };
  std::optional<Dns> dns;
  std::optional<spec::UserNamespace> user_namespace;  // that is to own the network namespace
  std::string cgroup_parent;  // the group that the kubelet made for the pod; may be empty
};

// What a pod got. `netns` is a host path that pins its namespace until Detach.
struct PodNetworkResult {
  HostPath netns;
  std::vector<spec::NetworkInterface> interfaces;  // first one is the pod's default
  std::vector<std::string> ips() const;            // without prefix length, IPv4 first
};

// Gives pods a network namespace with addresses and takes them back: the built-in routed network,
// or CNI plugins. What was given is recorded under the root directory (with the boot id) until
// Detach succeeded, so that no address and no namespace is lost to a crash. Thread-safe; one pod's
// slow plugin delays no other pod.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;

  // Ready, or why not: the reason and message of the NetworkReady condition.
  struct Readiness {
    bool ready = false;
    std::string reason;  // "NetworkPluginNotReady"
    std::string message;
  };
  virtual Readiness ready() const = 0;

  // Undoes itself when it fails.
  virtual Result<PodNetworkResult> Attach(const PodNetworkRequest& request, Deadline deadline) = 0;
  // Idempotent; also for pods that Attach never finished.
  virtual Status Detach(const PodId& pod, Deadline deadline) = 0;
  // After a restart: detaches every recorded pod that is not among these.
  virtual Status DetachExcept(const std::vector<PodId>& pods, Deadline deadline) = 0;
  // UpdateRuntimeConfig's pod CIDR: "10.1.0.0/24" or a comma-separated dual-stack pair.
  virtual Status SetPodCidr(const std::string& cidr) = 0;
};

}  // namespace catamaran
