#include "cri/doctor/cni_probes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "cri/network/cni/network_list.h"
#include "cri/network/cni/plugin_chain.h"
#include "cri/network/cni/plugin_run.h"

namespace catamaran {
namespace {

constexpr char kNoNetwork[] =
    "the node stays NotReady (NetworkPluginNotReady): only pods on the host's network run";

std::vector<std::string> TypesOf(const CniNetworkList& network) {
  std::vector<std::string> types;
  for (const CniPlugin& plugin : network.plugins) types.push_back(plugin.type);
  return types;
}

Result<Finding> TryConfiguration(const HostPath& folder) {
  const CniConfiguration configuration = LoadCniConfiguration(folder);
  const std::string problems = fmt::format("{}", fmt::join(configuration.problems, "; "));
  if (configuration.network == nullptr) {
    if (!problems.empty())
      return Finding{"", FindingStatus::kMissing, problems, kNoNetwork,
                     "correct or remove that file"};
    return Fail(ErrorCode::kNotFound, "no *.conflist, *.conf or *.json in {}", folder.string());
  }
  const CniNetworkList& network = *configuration.network;
  const std::string seen = fmt::format("{}: {}, CNI {}, {}", network.source, network.name,
                                       network.version.Text(), fmt::join(TypesOf(network), ", "));
  if (problems.empty()) return Works(seen);
  return Finding{"", FindingStatus::kDegraded, fmt::format("{}; passed over: {}", seen, problems),
                 "pods get the network of another file than the first",
                 "correct or remove that file"};
}

// What is wrong with a plugin; empty: nothing.
std::string ProblemOf(const PluginRunner& runner, const std::string& type,
                      const CniVersion& version, Deadline deadline) {
  const auto answer =
      runner.Run(type, {.command = "VERSION"}, {{"cniVersion", version.Text()}}, deadline);
  if (!answer) return answer.error().message;
  if (!answer->ok) return answer->error.message;
  const auto versions = answer->result.find("supportedVersions");
  if (versions == answer->result.end() || !versions->is_array())
    return type + " does not say which versions it speaks";
  if (std::find(versions->begin(), versions->end(), version.Text()) == versions->end())
    return fmt::format("{} does not speak CNI {}", type, version.Text());
  return "";
}

Result<Finding> TryPlugins(const Config& config, std::chrono::milliseconds patience) {
  const auto network = LoadCniConfiguration(config.cni_conf_dir).network;
  if (network == nullptr) return Fail(ErrorCode::kNotFound, "no network");
  const PluginRunner runner(config.cni_bin_dirs);
  const Deadline deadline = Deadline::After(patience);
  const auto types = TypesOf(*network);
  for (const std::string& type : std::set(types.begin(), types.end()))
    if (const std::string problem = ProblemOf(runner, type, network->version, deadline);
        !problem.empty())
      return Fail(ErrorCode::kFailedPrecondition, "{}", problem);
  auto ready = PluginChain(runner, *network).AskStatus(deadline);
  if (!ready) return tl::unexpected(std::move(ready).error().While("STATUS"));
  return Works(fmt::format("{} speak{} CNI {}{}", fmt::join(types, ", "),
                           types.size() == 1 ? "s" : "", network->version.Text(),
                           network->version.has_gc_and_status() ? " and say STATUS is good" : ""));
}

}  // namespace

void ProbeCniNetwork(const Config& config, std::chrono::milliseconds patience,
                     const ProbeRunner& run) {
  const Finding configuration =
      run({.name = "cni configuration",
           .meaning = kNoNetwork,
           .remedy = "install a network add-on, which writes one; or network: builtin in the "
                     "configuration",
           .run = [folder = config.cni_conf_dir] { return TryConfiguration(folder); }});
  if (configuration.status == FindingStatus::kMissing) return;
  run({.name = "cni plugins",
       .meaning = kNoNetwork,
       .remedy = "apt-get install containernetworking-plugins, or what the network add-on says; "
                 "cni.bin_dirs in the configuration names where they are",
       .run = [config, patience] { return TryPlugins(config, patience); }});
}

}  // namespace catamaran
