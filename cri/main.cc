// The program `catamaran`: the daemon and the commands around it.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "cri/base/version.h"
#include "cri/config/config.h"
#include "cri/doctor/doctor.h"
#include "cri/doctor/kubelet_probe.h"
#include "cri/image_commands.h"
#include "cri/install/install_commands.h"
#include "cri/operate/reload_command.h"
#include "cri/operate/support_bundle.h"
#include "cri/operate/top_command.h"
#include "cri/operate/why_command.h"
#include "cri/serve.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

struct Flags {
  std::string config_file;
  ConfigOverrides overrides;
  int ready_fd = -1;
  std::string source;
  std::string reference;
  PullFlags pull;
  std::string kubelet_config = kDefaultKubeletConfig;
  bool json = false;
  bool fix = false;
  bool dry_run = false;
  std::string pod;
  TopOptions top;
  std::string top_order = "cpu";
  double top_seconds = 2;
  SupportBundleOptions bundle;
  int64_t patience_seconds = std::chrono::seconds(kProbePatience).count();
};

void AddConfigFlags(CLI::App* command, Flags* flags) {
  command->add_option(
      "--config", flags->config_file,
      std::string("Configuration file (default: ") + kConfigFile + " where it exists)");
  command->add_option("--listen", flags->overrides.listen, "Socket: unix:///path");
  command->add_option("--root", flags->overrides.root, "Folder for images and disks");
  command->add_option("--run", flags->overrides.run, "Folder for sockets and records, on tmpfs");
}

Result<Config> ReadConfig(const Flags& flags) {
  ASSIGN_OR_RETURN(const ConfigPlaces places, ConfigPlaces::OfThisProgram());
  return FindConfig(flags.config_file, HostPath(kConfigFile), places, flags.overrides);
}

Status RunServe(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  return Serve(
      config, [&flags] { return ReadConfig(flags); }, flags.ready_fd);
}

Status RunConfigCheck(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  fmt::print("The configuration is right. Handlers: {} (default {}).\n", config.HandlerNames(),
             config.default_handler);
  return {};
}

Status RunConfigReload(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  return ConfigReloadCommand(config);
}

int RunDoctorCommand(const Flags& flags) {
  DoctorOptions options;
  options.version = Version();
  options.config_source = !flags.config_file.empty() ? flags.config_file
                          : Exists(kConfigFile)      ? kConfigFile
                                                     : "default configuration";
  options.kubelet_config = HostPath(flags.kubelet_config);
  options.patience = std::chrono::seconds(flags.patience_seconds);
  if (flags.json) options.form = DoctorOptions::Form::kJson;
  if (flags.fix) options.fix = flags.dry_run ? DoctorOptions::Fix::kSay : DoctorOptions::Fix::kMake;
  return RunDoctor(ReadConfig(flags), options);
}

Status RunImageLoad(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  auto loaded = ImageLoadCommand(config, flags.source, flags.reference);
  if (!loaded) {
    Error error = std::move(loaded).error().While("load " + flags.source);
    // Nothing of it was kept, and nothing here can mend it.
    if (error.code == ErrorCode::kDataLoss)
      error.message += "; it is damaged: copy or export it again, then load it again";
    return tl::unexpected<Error>(std::move(error));
  }
  return {};
}

Status RunImagePull(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  return ImagePullCommand(config, flags.pull);
}

Status RunImageList(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  return ImageListCommand(config);
}

void AddImageCommands(CLI::App* app, Flags* flags, Status* outcome) {
  CLI::App* image = app->add_subcommand("image", "The images on this node");
  image->require_subcommand(1);
  CLI::App* load = image->add_subcommand("load", "Load an OCI layout or a docker archive");
  load->add_option("source", flags->source, "Folder or archive")->required();
  load->add_option("--name", flags->reference, "Tag it so, instead of by its own names");
  AddConfigFlags(load, flags);
  load->callback([=] { *outcome = RunImageLoad(*flags); });
  CLI::App* pull = image->add_subcommand("pull", "Pull an image from its registry");
  pull->add_option("image", flags->pull.reference, "[HOST[:PORT]/]NAME[:TAG][@DIGEST]")->required();
  CLI::Option* user = pull->add_option("--username", flags->pull.username, "Who pulls");
  pull->add_flag("--password-stdin", flags->pull.password_from_stdin,
                 "Read the password from standard input")
      ->needs(user);
  pull->add_option("--auth-file", flags->pull.auth_file, "Credentials: docker's config.json")
      ->excludes(user);
  AddConfigFlags(pull, flags);
  pull->callback([=] { *outcome = RunImagePull(*flags); });
  CLI::App* list = image->add_subcommand("list", "List the images");
  AddConfigFlags(list, flags);
  list->callback([=] { *outcome = RunImageList(*flags); });
}

Status RunWhy(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  return WhyCommand(config, flags.pod);
}

Status RunTop(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  TopOptions options = flags.top;
  options.order = OrderNamed(flags.top_order).value_or(PodOrder::kCpu);
  options.interval = std::chrono::milliseconds(static_cast<int64_t>(flags.top_seconds * 1000));
  return TopCommand(config, options);
}

Status RunSupportBundle(const Flags& flags) {
  ASSIGN_OR_RETURN(const Config config, ReadConfig(flags));
  SupportBundleOptions options = flags.bundle;
  options.config_file = flags.config_file;
  return SupportBundleCommand(config, options);
}

void AddOperateCommands(CLI::App* app, Flags* flags, Status* outcome) {
  CLI::App* why = app->add_subcommand(
      "why", "What a pod waits for, and what its start was spent on; without a pod: the node");
  why->add_option("pod", flags->pod, "Name, namespace/name, or the beginning of an id");
  AddConfigFlags(why, flags);
  why->callback([=] { *outcome = RunWhy(*flags); });

  CLI::App* top = app->add_subcommand("top", "What pods use, live");
  top->add_flag("--once", flags->top.once, "Print one table and end");
  top->add_option("--sort", flags->top_order, "By what (default: cpu)")
      ->check(CLI::IsMember({"cpu", "memory", "tax", "start", "age", "name"}));
  top->add_option("--interval", flags->top_seconds, "Seconds between readings (default: 2)")
      ->check(CLI::Range(0.5, 3600.0));
  AddConfigFlags(top, flags);
  top->callback([=] { *outcome = RunTop(*flags); });

  CLI::App* bundle = app->add_subcommand(
      "support-bundle", "All that helps to find a trouble in one archive, without secrets");
  bundle->add_option("file", flags->bundle.file,
                     "The archive (default: catamaran-support-<time>.tar.zst)");
  bundle->add_option("--log", flags->bundle.log_file,
                     "The daemon's log (default: the journal of unit catamaran)");
  AddConfigFlags(bundle, flags);
  bundle->callback([=] { *outcome = RunSupportBundle(*flags); });
}

int ExitCode(const Status& status) {
  if (status) return 0;
  fmt::print(stderr, "catamaran: {}\n", status.error().message);
  return 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Kubernetes pods in namespaces or in virtual machines, through one CRI socket.");
  app.set_version_flag("--version", Version());
  app.require_subcommand(1);
  Flags flags;
  Status outcome;

  CLI::App* serve = app.add_subcommand("serve", "Run the daemon");
  AddConfigFlags(serve, &flags);
  serve->add_option("--ready-fd", flags.ready_fd, "Descriptor to tell when the daemon serves");
  serve->callback([&] { outcome = RunServe(flags); });

  AddImageCommands(&app, &flags, &outcome);
  AddOperateCommands(&app, &flags, &outcome);
  AddInstallCommands(&app, &outcome);

  CLI::App* config = app.add_subcommand("config", "The configuration file");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Say whether it is right, and if not, where");
  check->add_option("file", flags.config_file, "Configuration file");
  AddConfigFlags(check, &flags);
  check->callback([&] { outcome = RunConfigCheck(flags); });
  CLI::App* reload = config->add_subcommand(
      "reload", "Have the daemon read it again, and say what changed or why nothing did");
  AddConfigFlags(reload, &flags);
  reload->callback([&] { outcome = RunConfigReload(flags); });

  int doctor_exit = 0;
  CLI::App* doctor =
      app.add_subcommand("doctor", "Try what this host can do, and say what to mend");
  AddConfigFlags(doctor, &flags);
  doctor->add_option(
      "--kubelet-config", flags.kubelet_config,
      std::string("The kubelet's configuration (default: ") + kDefaultKubeletConfig + ")");
  doctor
      ->add_option("--patience", flags.patience_seconds,
                   "Seconds that one probe may take (default: 5)")
      ->check(CLI::Range(1, 3600));
  doctor->add_flag("--json", flags.json, "Print JSON");
  CLI::Option* fix = doctor->add_flag(
      "--fix", flags.fix, "Mend what can be mended safely, say how, and try everything again");
  doctor->add_flag("--dry-run", flags.dry_run, "With --fix: only say what would be done")
      ->needs(fix);
  doctor->callback([&] { doctor_exit = RunDoctorCommand(flags); });

  CLI11_PARSE(app, argc, argv);
  return outcome ? doctor_exit : ExitCode(outcome);
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) { return catamaran::Main(argc, argv); }
