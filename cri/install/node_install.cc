#include "cri/install/node_install.h"

#include <unistd.h>

#include <filesystem>

#include "cri/config/config.h"
#include "cri/install/host_systemd.h"
#include "cri/install/program_tree.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Kubelet = NodeInstallOptions::Kubelet;

// The folder that holds bin/, lib/, libexec/ and share/.
Result<HostPath> OwnTree() {
  ASSIGN_OR_RETURN(const ConfigPlaces places, ConfigPlaces::OfThisProgram());
  const HostPath tree(places.program_directory.value().parent_path());
  if (Exists((tree / kTreeUnit).value())) return tree;
  return Fail(ErrorCode::kFailedPrecondition,
              "{} is not a tree of the tarball or the installer image ({} is missing); Debian's "
              "package needs no node install",
              tree.string(), kTreeUnit);
}

// Whether it had another content, or none.
Result<bool> Write(const HostPath& file, const std::string& content) {
  if (ReadFile(file.value()).value_or("") == content) return false;
  RETURN_IF_ERROR(MakeDirectories(file.value().parent_path(), 0755));
  RETURN_IF_ERROR(ReplaceFile(file.value(), content, 0644, Durability::kPowerCut));
  fmt::print("wrote {}\n", file.string());
  return true;
}

Result<bool> InstallTree(const HostPath& tree, const HostPath& target) {
  std::error_code error;
  if (std::filesystem::equivalent(tree.value(), target.value(), error)) return false;
  ASSIGN_OR_RETURN(const bool equal, TreesAreEqual(tree, target));
  if (equal) return false;
  RETURN_IF_ERROR(ReplaceTree(tree, target));
  fmt::print("put the programs into {}\n", target.string());
  return true;
}

Status InstallConfig(const HostPath& tree, const HostPath& file) {
  if (Exists(file.value())) return {};
  ASSIGN_OR_RETURN(const std::string text, ReadFile((tree / kTreeConfig).value()));
  return Write(file, text).map([](bool) {});
}

// So that an administrator finds the command; another program of that name stays.
Status InstallLink(const NodePlaces& places) {
  const HostPath link = places.On(kCommandLink);
  const std::string program = places.prefix.string() + "/bin/catamaran";
  if (Exists(link.value())) return {};
  RETURN_IF_ERROR(MakeDirectories(link.value().parent_path(), 0755));
  if (symlink(program.c_str(), link.c_str()) != 0) return FailWithErrno("{}", link.string());
  return {};
}

Result<bool> InstallDropIn(const NodePlaces& places) {
  ASSIGN_OR_RETURN(const ConfigPlaces own, ConfigPlaces::OfThisProgram());
  ASSIGN_OR_RETURN(const Config config, LoadConfig(places.On(kConfigFile), own));
  for (const char* file : {"/etc/default/kubelet", "/etc/sysconfig/kubelet"})
    if (SetsExtraArguments(ReadFile(places.On(file).value()).value_or("")))
      fmt::print(
          "{} sets KUBELET_EXTRA_ARGS, which hides the drop-in: add "
          "--container-runtime-endpoint={} to it\n",
          file, config.listen);
  return Write(places.On(kKubeletDropInFile), KubeletDropIn(config.listen));
}

struct Changes {
  bool programs = false;
  bool kubelet = false;
};

Status StartWith(const HostSystemd& systemd, const Changes& changes, Kubelet kubelet) {
  // A removal that still waited for pods is taken back.
  if (Exists(kLeavingUnitFile)) {
    RETURN_IF_ERROR(systemd.Control({"disable", "--now", "catamaran-leaving.service"}));
    RETURN_IF_ERROR(RemoveIfExists(kLeavingUnitFile));
    fmt::print("took back a removal that waited for the node's pods\n");
  }
  RETURN_IF_ERROR(systemd.Control({"daemon-reload"}));
  RETURN_IF_ERROR(systemd.Control({"enable", "catamaran.service"}));
  RETURN_IF_ERROR(systemd.Control({changes.programs ? "restart" : "start", "catamaran.service"}));
  fmt::print("catamaran.service runs\n");
  if (kubelet != Kubelet::kRestart || !changes.kubelet) return {};
  // This program may be in a pod of that kubelet.
  RETURN_IF_ERROR(systemd.Control({"restart", "--no-block", "kubelet.service"}));
  fmt::print("the kubelet starts again\n");
  return {};
}

}  // namespace

Status NodeInstallCommand(const NodeInstallOptions& options) {
  const NodePlaces& places = options.places;
  if (Exists(places.On(kPackagedProgram).value()))
    return Fail(ErrorCode::kFailedPrecondition,
                "Debian's package of catamaran is installed on this node ({}); upgrade that, or "
                "apt-get remove catamaran first",
                kPackagedProgram);
  ASSIGN_OR_RETURN(const HostPath tree, OwnTree());
  Changes changes;
  ASSIGN_OR_RETURN(const std::string unit, ReadFile((tree / kTreeUnit).value()));
  ASSIGN_OR_RETURN(changes.programs, InstallTree(tree, places.On(places.prefix.string())));
  RETURN_IF_ERROR(InstallConfig(tree, places.On(kConfigFile)));
  ASSIGN_OR_RETURN(const bool new_unit,
                   Write(places.On(kUnitFile), UnitBelow(unit, places.prefix)));
  changes.programs = changes.programs || new_unit;
  RETURN_IF_ERROR(InstallLink(places));
  if (options.kubelet != Kubelet::kKeep) {
    ASSIGN_OR_RETURN(changes.kubelet, InstallDropIn(places));
  }
  if (HostSystemd::Runs(places)) {
    ASSIGN_OR_RETURN(const auto systemd, HostSystemd::Enter(places));
    RETURN_IF_ERROR(StartWith(systemd, changes, options.kubelet));
  } else {
    fmt::print("no systemd here: have {}/bin/catamaran serve --config {} started at boot\n",
               places.prefix.string(), kConfigFile);
  }
  fmt::print("next: {}/bin/catamaran doctor says what this node can do{}\n", places.prefix.string(),
             options.kubelet == Kubelet::kNext
                 ? "; the kubelet uses Catamaran from its next start on: drain, then reboot"
                 : "");
  return {};
}

}  // namespace catamaran
