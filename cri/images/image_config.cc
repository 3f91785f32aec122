#include "cri/images/image_config.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "cri/base/json.h"
#include "cri/images/manifest.h"
#include "cri/images/reference.h"

namespace catamaran {
namespace {

constexpr size_t kMaximumStrings = 10'000;
constexpr size_t kMaximumString = 128 << 10;  // execve(2): MAX_ARG_STRLEN

Status CheckSizes(const char* field, const std::vector<std::string>& strings) {
  if (strings.size() > kMaximumStrings)
    return Fail(ErrorCode::kInvalidArgument,
                "image config: field \"{}\" has {} entries, at most {}", field, strings.size(),
                kMaximumStrings);
  for (const auto& text : strings)
    if (text.size() >= kMaximumString)
      return Fail(ErrorCode::kInvalidArgument,
                  "image config: an entry of \"{}\" has {} bytes, fewer than {} are allowed", field,
                  text.size(), kMaximumString);
  return {};
}

// A list of strings; Docker once wrote a single one bare.
Result<std::vector<std::string>> Arguments(const JsonObject& config, const char* field) {
  if (auto text = config.String(field); text && !text->empty()) return std::vector{*text};
  ASSIGN_OR_RETURN(auto arguments, config.Strings(field));
  RETURN_IF_ERROR(CheckSizes(field, arguments));
  return arguments;
}

// Absolute and without "." and "..", which cannot climb out of the root.
std::string CleanContainerPath(std::string_view path) {
  std::filesystem::path clean("/");
  clean = (clean / std::filesystem::path(path).relative_path()).lexically_normal();
  std::string text = clean.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

Status CheckUser(const std::string& user) {
  const bool printable =
      std::all_of(user.begin(), user.end(), [](unsigned char c) { return c > ' ' && c != 0x7f; });
  if (!printable || user.size() > 256 || std::count(user.begin(), user.end(), ':') > 1)
    return Fail(ErrorCode::kInvalidArgument,
                "image config: field \"User\" is \"{}\", expected USER[:GROUP] by name or number",
                user.substr(0, 256));
  return {};
}

Status ReadVolumes(const JsonObject& object, ImageConfig& config) {
  ASSIGN_OR_RETURN(const auto volumes, object.Keys("Volumes"));
  RETURN_IF_ERROR(CheckSizes("Volumes", volumes));
  std::set<std::string> clean;
  for (const auto& volume : volumes) {
    const std::string path = CleanContainerPath(volume);
    if (path == "/" || path.size() >= 4096)
      return Fail(ErrorCode::kInvalidArgument,
                  "image config: field \"Volumes\" holds \"{}\", expected a folder below /",
                  volume.substr(0, 200));
    clean.insert(path);
  }
  config.volumes.assign(clean.begin(), clean.end());
  return {};
}

Status ReadProcess(const JsonObject& object, ImageConfig& config) {
  ASSIGN_OR_RETURN(config.entrypoint, Arguments(object, "Entrypoint"));
  ASSIGN_OR_RETURN(config.command, Arguments(object, "Cmd"));
  ASSIGN_OR_RETURN(config.env, object.Strings("Env"));
  RETURN_IF_ERROR(CheckSizes("Env", config.env));
  for (const auto& variable : config.env)
    if (variable.empty() || variable.starts_with('='))
      return Fail(ErrorCode::kInvalidArgument,
                  "image config: field \"Env\" holds \"{}\", expected NAME=VALUE",
                  variable.substr(0, 200));
  ASSIGN_OR_RETURN(config.user, object.String("User"));
  RETURN_IF_ERROR(CheckUser(config.user));
  ASSIGN_OR_RETURN(config.working_directory, object.String("WorkingDir"));
  if (config.working_directory.size() >= 4096)
    return Fail(ErrorCode::kInvalidArgument, "image config: field \"WorkingDir\" has {} bytes",
                config.working_directory.size());
  if (!config.working_directory.empty())
    config.working_directory = CleanContainerPath(config.working_directory);
  ASSIGN_OR_RETURN(config.stop_signal, object.String("StopSignal"));
  if (!config.stop_signal.empty() && !IsSignalName(config.stop_signal))
    return Fail(
        ErrorCode::kInvalidArgument,
        "image config: field \"StopSignal\" is \"{}\", expected a signal such as SIGTERM, 15 "
        "or SIGRTMIN+3",
        config.stop_signal.substr(0, 50));
  return {};
}

Status ReadDiffIds(const JsonObject& root, std::vector<std::string>& diff_ids) {
  ASSIGN_OR_RETURN(const auto rootfs, root.Object("rootfs"));
  ASSIGN_OR_RETURN(const auto type, rootfs.String("type"));
  if (type != "layers")
    return Fail(ErrorCode::kInvalidArgument,
                "image config: field \"rootfs.type\" is \"{}\", expected \"layers\"",
                type.substr(0, 50));
  ASSIGN_OR_RETURN(diff_ids, rootfs.Strings("diff_ids"));
  if (diff_ids.empty() || diff_ids.size() > kMaximumLayers)
    return Fail(ErrorCode::kInvalidArgument,
                "image config: field \"rootfs.diff_ids\" has {} entries, expected 1 to {}",
                diff_ids.size(), kMaximumLayers);
  for (const auto& diff_id : diff_ids)
    if (!IsDigest(diff_id) || !diff_id.starts_with("sha256:"))
      return Fail(ErrorCode::kInvalidArgument,
                  "image config: field \"rootfs.diff_ids\" holds \"{}\", expected sha256:<64 hex>",
                  diff_id.substr(0, 200));
  return {};
}

}  // namespace

bool IsSignalName(std::string_view text) {
  static const std::set<std::string_view> kNames = {
      "ABRT", "ALRM",   "BUS",  "CHLD",   "CLD",   "CONT", "FPE",  "HUP",   "ILL",
      "INT",  "IO",     "IOT",  "KILL",   "PIPE",  "POLL", "PROF", "PWR",   "QUIT",
      "SEGV", "STKFLT", "STOP", "SYS",    "TERM",  "TRAP", "TSTP", "TTIN",  "TTOU",
      "URG",  "USR1",   "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX"};
  const auto number_within = [](std::string_view digits, int low, int high) {
    int number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc() && end == digits.data() + digits.size() && number >= low &&
           number <= high;
  };
  if (number_within(text, 1, 64)) return true;
  if (text.starts_with("SIG")) text.remove_prefix(3);
  if (text.starts_with("RTMIN+")) return number_within(text.substr(6), 1, 15);
  if (text.starts_with("RTMAX-")) return number_within(text.substr(6), 1, 14);
  return kNames.contains(text);
}

Result<ParsedImageConfig> ParseImageConfig(std::string_view text) {
  if (text.size() > kMaximumConfigBytes)
    return Fail(ErrorCode::kInvalidArgument, "image config: {} bytes, at most {}", text.size(),
                kMaximumConfigBytes);
  ASSIGN_OR_RETURN(const auto json, ParseJson(text, "image config"));
  ASSIGN_OR_RETURN(const auto root, JsonObject::From(json, "image config"));
  ParsedImageConfig parsed;
  ImageConfig& config = parsed.config;
  ASSIGN_OR_RETURN(config.os, root.String("os"));
  ASSIGN_OR_RETURN(config.architecture, root.String("architecture"));
  ASSIGN_OR_RETURN(parsed.variant, root.String("variant"));
  ASSIGN_OR_RETURN(config.artifact_type, root.String("artifactType"));
  RETURN_IF_ERROR(
      CheckSizes("os", {config.os, config.architecture, parsed.variant, config.artifact_type}));
  ASSIGN_OR_RETURN(const auto process, root.Object("config"));
  RETURN_IF_ERROR(ReadProcess(process, config));
  RETURN_IF_ERROR(ReadVolumes(process, config));
  ASSIGN_OR_RETURN(config.labels, process.StringMap("Labels"));
  RETURN_IF_ERROR(ReadDiffIds(root, parsed.diff_ids));
  return parsed;
}

}  // namespace catamaran
