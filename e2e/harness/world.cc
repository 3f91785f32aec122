#include "e2e/harness/world.h"

#include <algorithm>
#include <cstdlib>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/processes.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {
World* the_world = nullptr;
constexpr size_t kLargestProgram = 64 << 20;

bool TemplatesAreLost() { return getenv(kLoseTemplates) != nullptr; }
}  // namespace

World& TheWorld() { return *the_world; }
void SetTheWorld(World* world) { the_world = world; }

std::string TemplateFolder() {
  if (TemplatesAreLost()) return "/dev/null/templates";
  return std::filesystem::path(ProgramFolder()).parent_path() / "guest/templates";
}

std::string ConfigText(const WorldPaths& paths, const std::string& guest_command_line) {
  const std::string machine = guest_command_line.empty() ? ""
                                                         : fmt::format(
                                                               "    machine:\n"
                                                               "      command_line: {}\n"
                                                               "      template: off\n",
                                                               guest_command_line);
  return fmt::format(
      "listen: unix://{0}/catamaran.sock\n"
      "root: {1}\n"
      "run: {0}\n"
      "cgroup_driver: {10}\n"
      "cgroup_root: {2}\n"
      "network: builtin\n"
      "builtin_network:\n"
      "  cidr_v4: 10.88.0.0/16\n"
      "  cidr_v6: fd00:88::/64\n"
      "allow_emulation: true\n"
      "shim: {3}/catamaran-shim\n"
      "templates: {4}\n"
      "nri:\n"
      "  socket: {0}/nri/nri.sock\n"
      "  plugin_dir: {9}/nri-plugins\n"
      "  config_dir: {9}/nri-conf.d\n"
      "cdi_spec_dirs: [{9}/cdi]\n"
      "default_ulimits: [sigpending=777:888]\n"
      "log:\n"
      "  level: info\n"
      "handlers:\n"
      "  - name: {5}\n"
      "    backend: ns\n"
      "  - name: {6}\n"
      "    backend: vm\n"
      "{8}"
      "  - name: {7}\n"
      "    backend: vm\n"
      "    machine:\n"
      "      template: off\n",
      paths.run(), paths.root(), paths.cgroup_root, ProgramFolder(), TemplateFolder(), kNs, kVm,
      kVmCold, machine, paths.base, paths.systemd ? "systemd" : "cgroupfs");
}

World::World(WorldPaths paths) : paths_(std::move(paths)) {
  config_file_ = paths_.base + "/catamaran.yaml";
  daemon_ =
      std::make_unique<Daemon>(Daemon::Options{config_file_, paths_.base + "/daemon.log", {}});
}

Status World::Start() {
  RETURN_IF_ERROR(Configure(""));
  RETURN_IF_ERROR(RestartDaemon());
  return ReadHandlers();
}

Status World::Configure(const std::string& guest_command_line) {
  guest_command_line_ = guest_command_line;
  return ReplaceFile(config_file_, ConfigText(paths_, guest_command_line), 0600,
                     Durability::kProcessCrash);
}

Status World::PrepareTemplates() {
  if (templates_ready_ || TemplatesAreLost()) return {};
  RETURN_IF_ERROR(RunUntilRestored(
      *cri_, {.handler = kVm, .name = "template", .log_directory = NewFolder("template")},
      [&](const std::string& pod, const MachineFacts& facts) {
        machines_.Add("templates are prepared", pod, facts, MachineCount::Boot::kAskedFor);
      }));
  templates_ready_ = true;
  return {};
}

Result<MachineFacts> World::CountMachine(const std::string& handler, const std::string& scenario,
                                         const std::string& pod) {
  ASSIGN_OR_RETURN(MachineFacts facts, ReadMachineFacts(*cri_, pod));
  machines_.Add(
      scenario, pod, facts,
      MustRestore(handler) ? MachineCount::Boot::kUnasked : MachineCount::Boot::kAskedFor);
  return facts;
}

Status World::LoadTestImage() {
  if (image_loaded_) return {};
  ASSIGN_OR_RETURN(ImageDescription busybox, BusyboxImage(kImage));
  if (auto probe = ReadFile(ProgramFolder() + "/../tests/e2e_probe", kLargestProgram))
    busybox.layers.push_back({{"bin/probe", *probe, 0755}});
  const std::string layout = paths_.base + "/busybox";
  RETURN_IF_ERROR(WriteOciLayout(layout, {busybox}));
  const ProgramResult loaded = LoadImage(layout);
  if (loaded.exit_code != 0) {
    return Fail(ErrorCode::kInternal, "catamaran image load: {}: {}", loaded.exit_code,
                loaded.output);
  }
  image_loaded_ = true;
  return {};
}

Status World::RestartDaemon(std::vector<std::string> environment) {
  RETURN_IF_ERROR(daemon_->Start(std::move(environment)));
  if (cri_ == nullptr) {
    cri_ = std::make_unique<CriClient>(endpoint());
  } else {
    cri_->Reconnect();
  }
  return {};
}

ProgramResult World::LoadImage(const std::string& path) { return LoadImage(path, config_file_); }

ProgramResult World::LoadImage(const std::string& path, const std::string& config_file) {
  return RunProgram(
      {ProgramFolder() + "/catamaran", "image", "load", path, "--config", config_file});
}

Status World::ReadHandlers() {
  auto status = cri_->Status({});
  if (!status.ok()) return Fail(ErrorCode::kUnavailable, "Status: {}", status.message());
  for (const auto& handler : status->runtime_handlers()) {
    if (!handler.name().empty()) handlers_.push_back(handler.name());
  }
  return {};
}

bool World::HasHandler(const std::string& name) const {
  return std::find(handlers_.begin(), handlers_.end(), name) != handlers_.end();
}

Snapshot World::TakeSnapshot() {
  Snapshot snapshot = e2e::TakeSnapshot(paths_, daemon_->pid());
  auto& lists = snapshot.kinds["lists"];
  const auto pods = cri_->ListPodSandbox({});
  for (const auto& pod : pods->items()) lists.push_back("pod " + pod.id());
  const auto containers = cri_->ListContainers({});
  for (const auto& container : containers->containers())
    lists.push_back("container " + container.id());
  const auto images = cri_->ListImages({});
  for (const auto& image : images->images()) lists.push_back("image " + image.id());
  for (const auto* error : {&pods.error, &containers.error, &images.error})
    if (error->code != ErrorCode{0}) lists.push_back("cannot be listed: " + error->message);
  std::sort(lists.begin(), lists.end());
  return snapshot;
}

pid_t World::TemplateKeeper() const { return FindProcess({"keep-templates", TemplateFolder()}); }

std::string World::NewFolder(const std::string& name) {
  const std::string folder = fmt::format("{}/{}-{}", paths_.logs(), name, ++folders_);
  (void)MakeDirectories(folder, 0755);
  return folder;
}

}  // namespace catamaran::e2e
