#include "e2e/harness/world.h"

#include <algorithm>

#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {
World* the_world = nullptr;
}

World& TheWorld() { return *the_world; }
void SetTheWorld(World* world) { the_world = world; }

std::string TemplateFolder() {
  return std::filesystem::path(ProgramFolder()).parent_path() / "guest/templates";
}

std::string ConfigText(const WorldPaths& paths, const std::string& guest_command_line) {
  const std::string handlers = guest_command_line.empty() ? ""
                                                          : fmt::format(
                                                                "handlers:\n"
                                                                "  - name: ns\n"
                                                                "    backend: ns\n"
                                                                "  - name: vm\n"
                                                                "    backend: vm\n"
                                                                "    machine:\n"
                                                                "      command_line: {}\n"
                                                                "      template: off\n",
                                                                guest_command_line);
  return handlers + fmt::format(
                        "listen: unix://{0}/catamaran.sock\n"
                        "root: {1}\n"
                        "run: {0}\n"
                        "cgroup_root: {2}\n"
                        "network: builtin\n"
                        "builtin_network:\n"
                        "  cidr_v4: 10.88.0.0/16\n"
                        "  cidr_v6: fd00:88::/64\n"
                        "allow_emulation: true\n"
                        "shim: {3}/catamaran-shim\n"
                        "templates: {4}\n"
                        "log:\n"
                        "  level: info\n",
                        paths.run(), paths.root(), paths.cgroup_root, ProgramFolder(),
                        TemplateFolder());
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
  return ReplaceFile(config_file_, ConfigText(paths_, guest_command_line), 0600,
                     Durability::kProcessCrash);
}

Status World::LoadTestImage() {
  if (image_loaded_) return {};
  ASSIGN_OR_RETURN(ImageDescription busybox, BusyboxImage(kImage));
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

std::string World::NewFolder(const std::string& name) {
  const std::string folder = fmt::format("{}/{}-{}", paths_.logs(), name, ++folders_);
  (void)MakeDirectories(folder, 0755);
  return folder;
}

}  // namespace catamaran::e2e
