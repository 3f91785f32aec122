#include "cri/apparmor/apparmor.h"

#include <fcntl.h>

#include <algorithm>

#include "cri/apparmor/default_profile.h"
#include "cri/base/program_run.h"
#include "sandbox/base/files.h"

namespace catamaran {

const HostPath* AppArmor::FindParser() const {
  const auto found = std::find_if(places_.parsers.begin(), places_.parsers.end(),
                                  [](const HostPath& path) { return Exists(path.value()); });
  return found == places_.parsers.end() ? nullptr : &*found;
}

Status AppArmor::EnsureDefaultProfile(Deadline deadline) {
  const std::lock_guard lock(mutex_);
  const auto names = ReadAppArmorProfiles(places_.profiles);
  const bool present =
      std::find(names.begin(), names.end(), kDefaultAppArmorProfile) != names.end();
  if (present && loaded_) return {};
  const HostPath* parser = FindParser();
  if (parser == nullptr && present) return {};
  if (parser == nullptr)
    return Fail(ErrorCode::kFailedPrecondition,
                "AppArmor's profile {} is not loaded, and this host has no apparmor_parser",
                kDefaultAppArmorProfile);
  ASSIGN_OR_RETURN(const UniqueFd program, OpenFile(parser->value(), O_PATH));
  ProgramRun run;
  // From standard input, replacing an older one, without the cache of compiled profiles.
  run.args = {"apparmor_parser", "--replace", "--skip-cache", "--quiet"};
  run.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"};
  run.input = std::string(DefaultAppArmorProfileText());
  auto end = RunProgram(program, run, deadline);
  if (!end) return tl::unexpected(std::move(end).error().While("load AppArmor's default profile"));
  if (end->exit_code != 0)
    return Fail(ErrorCode::kFailedPrecondition,
                "load AppArmor's default profile: apparmor_parser ended with {}: {}",
                end->exit_code, end->diagnostics);
  loaded_ = true;
  return {};
}

}  // namespace catamaran
