#include "cri/doctor/host_changer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "cri/base/program_run.h"
#include "cri/base/text.h"
#include "cri/doctor/kept_files.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kHead[] = "# By `catamaran doctor --fix`: what pods need of this host.\n";
constexpr size_t kLargestFile = 1 << 20;
constexpr size_t kLongestQuote = 300;

std::string Trimmed(std::string_view text) { return std::string(Trim(text, " \t\n\v\f\r")); }

// The setting of a line of sysctl.d(5), the module of one of modules-load.d(5).
std::string KeyOf(const std::string& line) {
  std::string key = Trimmed(line.substr(0, line.find('=')));
  if (key.starts_with("-")) key = Trimmed(key.substr(1));
  std::replace(key.begin(), key.end(), '/', '.');
  return key;
}

uint64_t NumberOf(const std::string& text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

Result<std::string> HostChanger::Make(const HostChange& change, Deadline deadline) const {
  switch (change.kind) {
    case HostChange::Kind::kModule:
      return LoadModule(change.what, deadline);
    case HostChange::Kind::kSysctl:
      return SetSysctl(change);
    case HostChange::Kind::kMode:
      return SetMode(change);
  }
  return Fail(ErrorCode::kInternal, "an unknown change");
}

Result<std::string> HostChanger::LoadModule(const std::string& name, Deadline deadline) const {
  // A name has '_' there for each '-'. One that is built in has no folder where it has no
  // parameters.
  std::string folder = name;
  std::replace(folder.begin(), folder.end(), '-', '_');
  const bool loaded = Exists((places_.root / ("sys/module/" + folder)).value());
  const auto kept = [&] { return Keep(kKeptModulesFile, name, name); };
  if (mode_ == Mode::kSay) {
    ASSIGN_OR_RETURN(const bool due, kept());
    if (loaded && !due) return std::string();
    return fmt::format("module {}{}", name,
                       due ? fmt::format(", kept in {}", kKeptModulesFile) : "");
  }
  if (!loaded) {
    ASSIGN_OR_RETURN(const UniqueFd program, OpenFile(places_.modprobe, O_PATH));
    ASSIGN_OR_RETURN(const ProgramEnd end,
                     RunProgram(program, {.args = {places_.modprobe, "--", name}}, deadline));
    if (end.exit_code != 0)
      return Fail(ErrorCode::kFailedPrecondition, "modprobe {}: {}", name,
                  OneLine(end.diagnostics, kLongestQuote));
  }
  ASSIGN_OR_RETURN(const bool written, kept());
  if (loaded && !written) return std::string();
  return fmt::format("module {} {}{}", name, loaded ? "is loaded" : "loaded",
                     written ? fmt::format(", kept in {}", kKeptModulesFile) : "");
}

Result<std::string> HostChanger::SetSysctl(const HostChange& change) const {
  std::string name = change.what;
  std::replace(name.begin(), name.end(), '.', '/');
  const HostPath path = places_.root / ("proc/sys/" + name);
  auto before = ReadFile(path.value(), kLargestFile);
  // What its module brings.
  if (!before && mode_ == Mode::kSay && before.error().code == ErrorCode::kNotFound)
    return fmt::format("{} = {}, kept in {}", change.what, change.value, kKeptSysctlFile);
  if (!before) return tl::unexpected(std::move(before).error());
  const std::string was = Trimmed(*before);
  const bool enough =
      change.enough_at > 0 ? NumberOf(was) >= change.enough_at : was == change.value;
  if (enough) return std::string();
  if (mode_ == Mode::kMake) {
    ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path.string(), O_WRONLY | O_TRUNC));
    RETURN_IF_ERROR(WriteAll(file.get(), change.value + "\n"));
  }
  ASSIGN_OR_RETURN(const bool kept,
                   Keep(kKeptSysctlFile, change.what, change.what + " = " + change.value));
  return fmt::format("{} = {} (was {}){}", change.what, change.value, was,
                     kept ? fmt::format(", kept in {}", kKeptSysctlFile) : "");
}

Result<std::string> HostChanger::SetMode(const HostChange& change) const {
  const HostPath path = places_.root / change.what.substr(1);
  // Of the folder itself, whatever its name is made to lead to meanwhile.
  auto folder = OpenFile(path.string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) {
    if (folder.error().code == ErrorCode::kNotFound) return std::string();  // made right
    return tl::unexpected(std::move(folder).error());
  }
  struct stat status {};
  if (fstat(folder->get(), &status) != 0) return FailWithErrno("stat {}", path.string());
  mode_t mode = 0;
  std::from_chars(change.value.data(), change.value.data() + change.value.size(), mode, 8);
  if ((status.st_mode & 07777) == mode) return std::string();
  if (mode_ == Mode::kMake && fchmod(folder->get(), mode) != 0)
    return FailWithErrno("chmod {}", path.string());
  return fmt::format("mode {} of {} (was {:o})", change.value, change.what, status.st_mode & 07777);
}

Result<bool> HostChanger::Keep(const std::string& file, const std::string& key,
                               const std::string& line) const {
  const HostPath path = places_.root / file.substr(1);
  auto text = ReadFile(path.value(), kLargestFile);
  if (!text && text.error().code != ErrorCode::kNotFound)
    return tl::unexpected(std::move(text).error());
  std::string now;
  bool done = false;
  std::istringstream lines(text.value_or(kHead));
  for (std::string old; std::getline(lines, old);) {
    const bool same = !Trimmed(old).starts_with('#') && KeyOf(old) == key;
    if (same && done) continue;
    now += (same ? line : old) + "\n";
    done = done || same;
  }
  if (!done) now += line + "\n";
  if (text && now == *text) return false;
  if (mode_ == Mode::kSay) return true;
  RETURN_IF_ERROR(MakeDirectories(path.value().parent_path(), 0755));
  RETURN_IF_ERROR(ReplaceFile(path.value(), now, 0644, Durability::kPowerCut));
  return true;
}

}  // namespace catamaran
