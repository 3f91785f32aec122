#include "cri/install/node_remove.h"

#include <filesystem>
#include <thread>

#include "cri/doctor/kept_files.h"
#include "cri/install/host_systemd.h"
#include "cri/install/living_pods.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Files = NodeLeaveOptions::Files;

// Locks tell nobody when they are let go of.
constexpr std::chrono::seconds kInterval{2};

Result<Config> NodeConfig(const NodePlaces& places) {
  ASSIGN_OR_RETURN(const ConfigPlaces own, ConfigPlaces::OfThisProgram());
  return FindConfig("", places.On(kConfigFile), own);
}

Status RemoveLink(const NodePlaces& places) {
  std::error_code error;
  const auto target = std::filesystem::read_symlink(places.On(kCommandLink).value(), error);
  if (error || target != places.prefix.value() / "bin/catamaran") return {};
  return RemoveIfExists(places.On(kCommandLink).value());
}

Status RemoveTreeOfNode(const NodePlaces& places) {
  RETURN_IF_ERROR(RemoveIfExists(places.On(kUnitFile).value()));
  RETURN_IF_ERROR(RemoveLink(places));
  return RemoveTree(places.On(places.prefix.string()).value());
}

Status RemoveState(const NodePlaces& places, const Config& config, State state) {
  RETURN_IF_ERROR(RemoveTree(places.On(config.run.string()).value()));
  if (state == State::kKeep) return {};
  RETURN_IF_ERROR(RemoveTree(places.On(config.root.string()).value()));
  // Of `catamaran doctor --fix`.
  for (const char* file : {kKeptModulesFile, kKeptSysctlFile})
    RETURN_IF_ERROR(RemoveIfExists(places.On(file).value()));
  return RemoveTree(places.On(kConfigFile).value().parent_path());
}

void Tell(const std::vector<std::string>& pods) {
  fmt::print("{} pod{} of Catamaran still run{}; waiting until {} ended\n", pods.size(),
             pods.size() == 1 ? "" : "s", pods.size() == 1 ? "s" : "",
             pods.size() == 1 ? "it has" : "the last has");
  fflush(stdout);
}

Status WaitForLastPod(const Config& config) {
  size_t told = 0;
  while (true) {
    ASSIGN_OR_RETURN(const auto pods, LivingPods(config.run));
    if (pods.empty()) return {};
    if (pods.size() != told) Tell(pods);
    told = pods.size();
    std::this_thread::sleep_for(kInterval);
  }
}

// Addresses of pods that a boot ended are given back by the daemon's start.
Status EndDaemon(const HostSystemd& systemd, const Config& config, Files files) {
  const auto attached = ListDirectory((config.root / "network").value());
  if (files == Files::kTree && attached && !attached->empty()) {
    if (const Status started = systemd.Control({"start", "catamaran.service"}); !started)
      fmt::print(stderr, "catamaran: addresses of pods may be left: {}\n", started.error().message);
  }
  return systemd.Control({"stop", "catamaran.service"});
}

Status RemoveWithSystemd(const NodeRemoveOptions& options, const Config& config) {
  const NodePlaces& places = options.places;
  ASSIGN_OR_RETURN(const auto pods, LivingPods(places.On(config.run.string())));
  RETURN_IF_ERROR(ReplaceFile(places.On(kLeavingUnitFile).value(),
                              LeavingUnit(places.prefix, options.state), 0644,
                              Durability::kPowerCut));
  ASSIGN_OR_RETURN(const auto systemd, HostSystemd::Enter(places));
  RETURN_IF_ERROR(systemd.Control({"daemon-reload"}));
  if (Exists(kUnitFile)) RETURN_IF_ERROR(systemd.Control({"disable", "catamaran.service"}));
  RETURN_IF_ERROR(systemd.Control({"enable", "catamaran-leaving.service"}));
  RETURN_IF_ERROR(systemd.Control({"restart", "catamaran-leaving.service"}));
  if (!pods.empty())
    fmt::print(
        "{} pods run and are left alone, with the daemon that serves them. Next: drain the node, "
        "then reboot it; catamaran-leaving.service removes the rest after the last pod.\n",
        pods.size());
  else
    fmt::print("catamaran-leaving.service removes the rest now.\n");
  return {};
}

}  // namespace

Status NodeRemoveCommand(const NodeRemoveOptions& options) {
  const NodePlaces& places = options.places;
  ASSIGN_OR_RETURN(const Config config, NodeConfig(places));
  if (Exists(places.On(kKubeletDropInFile).value())) {
    RETURN_IF_ERROR(RemoveIfExists(places.On(kKubeletDropInFile).value()));
    fmt::print("removed {}: the kubelet's next start is with the runtime of before\n",
               kKubeletDropInFile);
  }
  if (HostSystemd::Runs(places)) return RemoveWithSystemd(options, config);
  ASSIGN_OR_RETURN(const auto pods, LivingPods(places.On(config.run.string())));
  if (!pods.empty())
    return Fail(ErrorCode::kFailedPrecondition,
                "{} pods run and are left alone, and so is all that they need; next: drain the "
                "node, then run this again",
                pods.size());
  RETURN_IF_ERROR(RemoveTreeOfNode(places));
  RETURN_IF_ERROR(RemoveState(places, config, options.state));
  fmt::print("Catamaran is off this node{}\n",
             options.state == State::kPurge
                 ? ""
                 : fmt::format("; its images and disks are kept in {}", config.root.string()));
  return {};
}

Status NodeLeaveCommand(const Config& config, const NodeLeaveOptions& options) {
  RETURN_IF_ERROR(WaitForLastPod(config));
  const NodePlaces& places = options.places;
  ASSIGN_OR_RETURN(const auto systemd, HostSystemd::Enter(places));
  RETURN_IF_ERROR(EndDaemon(systemd, config, options.files));
  if (options.files == Files::kTree) {
    RETURN_IF_ERROR(systemd.Control({"disable", "catamaran-leaving.service"}));
    RETURN_IF_ERROR(RemoveIfExists(kLeavingUnitFile));
    RETURN_IF_ERROR(RemoveTreeOfNode(places));
    RETURN_IF_ERROR(systemd.Control({"daemon-reload"}));
  }
  const State state = Exists(kPurgeMark) ? State::kPurge : options.state;
  RETURN_IF_ERROR(RemoveState(places, config, state));
  RETURN_IF_ERROR(RemoveTree(std::filesystem::path(kPurgeMark).parent_path()));
  fmt::print("Catamaran has left this node\n");
  return {};
}

}  // namespace catamaran
