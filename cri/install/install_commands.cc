#include "cri/install/install_commands.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>

#include "cri/install/guest_build.h"
#include "cri/install/living_pods.h"
#include "cri/install/node_install.h"
#include "cri/install/node_remove.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

struct InstallFlags {
  GuestBuildOptions guest;
  std::string host = "/";
  std::string prefix = "/opt/catamaran";
  std::string kubelet = "keep";
  std::string config_file;
  bool purge = false;
  bool package = false;

  NodePlaces Places() const { return {HostPath(host), HostPath(prefix)}; }
  State WantedState() const { return purge ? State::kPurge : State::kKeep; }
};

Result<Config> ReadConfig(const InstallFlags& flags) {
  ASSIGN_OR_RETURN(const ConfigPlaces places, ConfigPlaces::OfThisProgram());
  return FindConfig(flags.config_file, HostPath(kConfigFile), places);
}

Status RunInstall(const InstallFlags& flags) {
  using Kubelet = NodeInstallOptions::Kubelet;
  const Kubelet kubelet = flags.kubelet == "keep"   ? Kubelet::kKeep
                          : flags.kubelet == "next" ? Kubelet::kNext
                                                    : Kubelet::kRestart;
  return NodeInstallCommand({flags.Places(), kubelet});
}

Status RunLeave(const InstallFlags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  using Files = NodeLeaveOptions::Files;
  return NodeLeaveCommand(config, {flags.Places(), flags.package ? Files::kPackage : Files::kTree,
                                   flags.WantedState()});
}

Status RunPods(const InstallFlags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  ASSIGN_OR_RETURN(const auto pods, LivingPods(config.run));
  for (const std::string& pod : pods) fmt::print("{}\n", pod);
  return {};
}

// A container's first process gets no signal that it does not wait for.
Status Stay() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  int number = 0;
  sigwait(&signals, &number);
  return {};
}

using SharedFlags = std::shared_ptr<InstallFlags>;

void AddPlaces(CLI::App* command, const SharedFlags& flags) {
  command->add_option("--prefix", flags->prefix,
                      "Folder of the programs (default: /opt/catamaran)");
}

void AddHost(CLI::App* command, const SharedFlags& flags) {
  command->add_option("--host", flags->host,
                      "Where the node's / is mounted, from a container (default: /)");
}

void AddPurge(CLI::App* command, const SharedFlags& flags) {
  command->add_flag("--purge", flags->purge, "The configuration, images and disks too");
}

void AddConfig(CLI::App* command, const SharedFlags& flags) {
  command->add_option(
      "--config", flags->config_file,
      std::string("Configuration file (default: ") + kConfigFile + " where it exists)");
}

void AddGuestCommands(CLI::App* app, const SharedFlags& flags, Status* outcome) {
  CLI::App* guest = app->add_subcommand("guest", "The kernel and the disks that VMs start from");
  guest->require_subcommand(1);
  CLI::App* build = guest->add_subcommand(
      "build", "Make them of Debian's kernel, which is downloaded once, and of this agent");
  GuestBuildOptions& options = flags->guest;
  build->add_option("--output", options.output,
                    std::string("Folder (default: ") + kGuestFolder + ")");
  build->add_option("--kernel", options.kernel, "host: this Debian's (default), or 6.12")
      ->check(CLI::IsMember({"host", "6.12"}));
  CLI::Option* update =
      build->add_flag("--update", options.update, "Download a newer kernel where there is one");
  build->add_flag("--offline", options.offline, "Download nothing")->excludes(update);
  build->callback([=] { *outcome = GuestBuildCommand(flags->guest); });
}

void AddNodeCommands(CLI::App* app, const SharedFlags& flags, Status* outcome) {
  CLI::App* node = app->add_subcommand(
      "node", "Catamaran on this node, where it is not Debian's package that installs it");
  node->require_subcommand(1);
  CLI::App* install =
      node->add_subcommand("install", "Programs, unit and configuration onto the node");
  AddPlaces(install, flags);
  AddHost(install, flags);
  install
      ->add_option("--kubelet", flags->kubelet,
                   "The kubelet's runtime: keep what it has (default), Catamaran at its next "
                   "start, or restart it with Catamaran")
      ->check(CLI::IsMember({"keep", "next", "restart"}));
  install->callback([=] { *outcome = RunInstall(*flags); });

  CLI::App* remove = node->add_subcommand(
      "remove", "Off the node; pods that run are left alone until the node is drained");
  AddPlaces(remove, flags);
  AddHost(remove, flags);
  AddPurge(remove, flags);
  remove->callback([=] { *outcome = NodeRemoveCommand({flags->Places(), flags->WantedState()}); });

  CLI::App* leave =
      node->add_subcommand("leave", "Wait until no pod runs, then end the daemon and remove it");
  AddPlaces(leave, flags);
  AddPurge(leave, flags);
  AddConfig(leave, flags);
  leave->add_flag("--package", flags->package, "Leave files that belong to Debian's package");
  leave->callback([=] { *outcome = RunLeave(*flags); });

  CLI::App* pods =
      node->add_subcommand("pods", "The ids of pods that run, with or without a daemon");
  AddConfig(pods, flags);
  pods->callback([=] { *outcome = RunPods(*flags); });
  CLI::App* stay =
      node->add_subcommand("stay", "Do nothing until SIGTERM, for the installer's pod");
  stay->callback([=] { *outcome = Stay(); });
}

}  // namespace

void AddInstallCommands(CLI::App* app, Status* outcome) {
  const auto flags = std::make_shared<InstallFlags>();
  AddGuestCommands(app, flags, outcome);
  AddNodeCommands(app, flags, outcome);
}

}  // namespace catamaran
