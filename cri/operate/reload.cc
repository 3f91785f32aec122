#include "cri/operate/reload.h"

#include <fmt/ranges.h>

#include "cri/config/settings.h"
#include "cri/service/log.h"

namespace catamaran {
namespace {

std::string Line(const SettingChange& change) {
  const auto shown = [](const std::string& value) { return value.empty() ? "(none)" : value; };
  return fmt::format("{}: {} -> {}", change.key, shown(change.before), shown(change.after));
}

Status RefuseWhatCannotChange(const std::vector<SettingChange>& changes) {
  std::vector<std::string> refused;
  for (const SettingChange& change : changes)
    if (!CanChangeAtRunTime(change.key)) refused.push_back(Line(change));
  if (refused.empty()) return {};
  return Fail(ErrorCode::kFailedPrecondition,
              "nothing was changed: these need a restart of the daemon (pods run on): {}",
              fmt::join(refused, "; "));
}

}  // namespace

Result<std::vector<std::string>> Reloader::Reload() {
  const std::lock_guard lock(mutex_);
  auto changed = TryReload();
  parts_.meters.ReloadEnded(changed.has_value());
  if (changed) {
    Log(LogLevel::kInfo, "reloaded",
        {{"changes", changed->empty() ? "none" : fmt::format("{}", fmt::join(*changed, "; "))}});
  } else {
    Log(LogLevel::kError, "reload refused", {{"error", changed.error().message}});
  }
  return changed;
}

Result<std::vector<std::string>> Reloader::TryReload() {
  ASSIGN_OR_RETURN(Config config, read_());
  const std::vector<SettingChange> changes = ChangesBetween(current_, config);
  RETURN_IF_ERROR(RefuseWhatCannotChange(changes));
  RETURN_IF_ERROR(Apply(config));
  current_ = std::move(config);
  std::vector<std::string> lines;
  for (const SettingChange& change : changes) lines.push_back(Line(change));
  return lines;
}

// What can fail first.
Status Reloader::Apply(const Config& config) {
  RETURN_IF_ERROR(SignaturePolicy(config.images.signature_policy).CheckKeys());
  // Also certificates that were renewed. Where the second fails the first goes back.
  RETURN_IF_ERROR(parts_.metrics.Replace(config.metrics));
  if (auto traces = parts_.tracer.Replace(config.tracing); !traces) {
    (void)parts_.metrics.Replace(current_.metrics);
    return traces;
  }
  parts_.policy.Replace(config.images.signature_policy);
  parts_.puller.LookIn(config.images.hosts_dir, config.images.docker_config);
  SetLogLevel(config.log_level);
  SetLogFormat(config.log_format);
  return {};
}

}  // namespace catamaran
