#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cri/cgroups/cgroup_driver.h"
#include "cri/signatures/signature_rule.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/spec/sandbox_spec.pb.h"
#include "shim/client/shim_paths.h"

namespace catamaran {

// What a RuntimeClass's handler name selects. One per entry of `handlers`.
struct HandlerConfig {
  enum class Hull { kNamespaces, kVm };
  std::string name;
  Hull hull = Hull::kNamespaces;
  spec::MachineSpec machine;  // kVm only; launcher is always QEMU
  // kNamespaces only: bytes that a container may write into its root; 0: no limit of its own.
  uint64_t writable_layer_limit = 0;
  uint32_t pool = 0;  // kVm only: machines that wait for pods, see cri/pods/machine_pool.h
};

// Where images come from. What is in the folders is read at each pull, so changes there need no
// restart.
struct ImagesConfig {
  HostPath hosts_dir;      // folders of hosts.toml files, as containerd has them; empty: none
  HostPath docker_config;  // credentials where a pull brings none (config.json); empty: none
  std::vector<std::string> pinned;  // canonical references that the kubelet must not collect
  // Which images may be used; none: all. One is of scope "*". See cri/signatures/README.md.
  std::vector<SignatureRule> signature_policy;
};

// Where Exec, Attach and PortForward are served, see cri/streaming/streaming_server.h.
struct StreamingConfig {
  std::string address = "127.0.0.1";  // without brackets
  uint16_t port = 0;                  // 0: the kernel chooses
  std::chrono::seconds idle{4 * 3600};
};

// Plugins of the Node Resource Interface, see cri/nri/README.md.
struct NriConfig {
  bool enabled = true;
  HostPath socket{"/var/run/nri/nri.sock"};  // where plugins connect
  HostPath plugin_dir{"/opt/nri/plugins"};   // NN-NAME: started with the daemon
  HostPath config_dir{"/etc/nri/conf.d"};    // NN-NAME.conf or NAME.conf: what those are given
  std::chrono::milliseconds request_timeout{2000};
  std::chrono::milliseconds registration_timeout{5000};
};

// Where the daemon's own metrics are served besides the unix socket, see
// cri/telemetry/metrics_server.h.
struct MetricsConfig {
  std::string address;        // without brackets; empty: on the unix socket alone
  uint16_t port = 0;          // 0: the kernel chooses
  HostPath certificate, key;  // PEM; empty: plain HTTP, on loopback only
  HostPath client_ca;         // whose clients may read; empty: everybody's
};

// Where traces of calls go, see cri/telemetry/tracer.h.
struct TracingConfig {
  std::string endpoint;       // "http://127.0.0.1:4318"; empty: nowhere, and none are made
  HostPath ca;                // PEM; empty: the authorities that the machine trusts
  HostPath certificate, key;  // PEM, for the collector; empty: none
  // Of calls that bring no trace of their own: so many of a million are traced.
  uint32_t sampling_rate_per_million = 0;
  std::string service_name = "catamaran";
};

// The daemon's configuration, with every default resolved: what the file says, over the defaults.
// A value, immutable once read.
struct Config {
  enum class Network { kCni, kBuiltin };

  std::string listen;  // "unix:///run/catamaran/catamaran.sock": catamaran.sock in `run`
  HostPath root{"/var/lib/catamaran"};  // images, network records, pods' disks
  HostPath run{"/run/catamaran"};       // sockets, records of pods; on tmpfs, 0700
  HostPath templates;                   // of VMs; <root>/templates where the file says nothing
  CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;  // as the kubelet's
  std::string cgroup_root;  // parent of pods that name no cgroup_parent; the driver's default
  std::string default_handler = "ns";
  Network network = Network::kCni;
  std::string builtin_cidr_v4 = "10.88.0.0/16";
  std::string builtin_cidr_v6;  // empty: IPv4 only
  HostPath cni_conf_dir{"/etc/cni/net.d"};
  std::vector<HostPath> cni_bin_dirs{HostPath("/opt/cni/bin"), HostPath("/usr/lib/cni")};
  bool allow_emulation = false;  // let VMs run without hardware acceleration
  // Of CDI files, in ascending priority; see cri/cdi.
  std::vector<HostPath> cdi_spec_dirs{HostPath("/etc/cdi"), HostPath("/var/run/cdi")};
  std::vector<spec::Rlimit> default_ulimits;  // of containers; CRI requests know none
  HostPath shim;                              // the program catamaran-shim
  std::string log_level = "info";
  std::string log_format = "text";  // or "json"
  ImagesConfig images;
  StreamingConfig streaming;
  NriConfig nri;
  MetricsConfig metrics;
  TracingConfig tracing;
  std::vector<HandlerConfig> handlers;

  // By a request's runtime_handler; "" is the default one. Null where there is none.
  const HandlerConfig* FindHandler(std::string_view name) const;
  std::string HandlerNames() const;  // "ns, vm": for error messages
  // Files of the process that keeps VM templates for the shims.
  ShimPaths KeeperPaths() const { return {run / "templates"}; }
  HostPath MetricsSocket() const { return run / "metrics.sock"; }
};

// Where `catamaran guest build` puts the guest's kernel and disks.
inline constexpr char kGuestFolder[] = "/var/lib/catamaran/guest";

// Where a daemon looks for what its configuration does not name: the shim beside the program, the
// guest's kernel and disks in ../guest, then in /usr/share/catamaran/guest, then in kGuestFolder.
struct ConfigPlaces {
  HostPath program_directory;
  static Result<ConfigPlaces> OfThisProgram();
};

// What the command line says; it wins over the file. Empty: nothing.
struct ConfigOverrides {
  std::string listen;
  std::string root;
  std::string run;
};

// Reads YAML. Unknown keys, repeated keys and wrong values are kInvalidArgument naming
// file_name:line, the key, the value and what would be right. An empty text gives the defaults.
Result<Config> ParseConfig(std::string_view text, const std::string& file_name,
                           const ConfigPlaces& places, const ConfigOverrides& overrides = {});
Result<Config> LoadConfig(const HostPath& file, const ConfigPlaces& places,
                          const ConfigOverrides& overrides = {});

// Where the configuration is that nobody names.
inline constexpr char kConfigFile[] = "/etc/catamaran/config.yaml";
// What a command goes by: the file that was named, which must be there; where none was ("") the
// usual one, or the defaults where that is not there.
Result<Config> FindConfig(const std::string& named, const HostPath& usual,
                          const ConfigPlaces& places, const ConfigOverrides& overrides = {});

// "unix:///path" -> "/path"; kInvalidArgument otherwise.
Result<HostPath> SocketPathOf(const std::string& listen);

}  // namespace catamaran
