#include <linux/seccomp.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "sandbox/container/seccomp_rules.h"

// Profiles in JSON: the "linux.seccomp" object of the OCI runtime specification
// (config-linux.md#seccomp), and docker's format, which adds archMap, includes and excludes.
namespace catamaran {
namespace {

using Json = nlohmann::json;

constexpr size_t kLargestProfile = 1 << 20;
constexpr uint64_t kEperm = 1;

template <typename... Args>
tl::unexpected<Error> Refuse(fmt::format_string<Args...> format, Args&&... args) {
  return Fail(ErrorCode::kInvalidArgument, "seccomp profile: {}",
              fmt::format(format, std::forward<Args>(args)...));
}

// Absent and null are the same; any other type than the wanted one is an error.
const Json* Member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> Text(const Json& value, std::string_view field) {
  if (!value.is_string()) return Refuse("{} must be a string", field);
  return value.get<std::string>();
}

Result<uint64_t> Number(const Json& object, const char* key, uint64_t fallback) {
  const Json* value = Member(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_number_unsigned()) return Refuse("{} must be a number of at least 0", key);
  return value->get<uint64_t>();
}

Result<std::vector<std::string>> Texts(const Json& object, const char* key) {
  std::vector<std::string> texts;
  const Json* values = Member(object, key);
  if (values == nullptr) return texts;
  if (!values->is_array()) return Refuse("{} must be a list", key);
  for (const auto& value : *values) {
    ASSIGN_OR_RETURN(auto text, Text(value, key));
    texts.push_back(std::move(text));
  }
  return texts;
}

Result<uint32_t> Action(const std::string& name, uint64_t error_number) {
  if (error_number > 4095) return Refuse("errnoRet {}: must be at most 4095", error_number);
  const auto number = static_cast<uint16_t>(error_number);
  if (name == "SCMP_ACT_NOTIFY")
    return Refuse("SCMP_ACT_NOTIFY needs a notification listener, which is not supported");
  const std::map<std::string, uint32_t> actions = {
      {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
      {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(number)},
      {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
      {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
      {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(number)},
      {"SCMP_ACT_LOG", SCMP_ACT_LOG},
  };
  const auto found = actions.find(name);
  if (found == actions.end()) return Refuse("action \"{}\" is unknown", name);
  return found->second;
}

Result<uint32_t> Architecture(const std::string& name) {
  constexpr std::string_view kPrefix = "SCMP_ARCH_";
  std::string word = name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : name;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const uint32_t token = seccomp_arch_resolve_name(word.c_str());
  if (token == 0) return Refuse("architecture \"{}\" is unknown", name);
  return token;
}

// "amd64": as docker's includes and excludes name this machine.
std::string NativeName() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "";
#endif
}

Result<bool> KernelIsAtLeast(const std::string& wanted) {
  unsigned wanted_major = 0, wanted_minor = 0, major = 0, minor = 0;
  if (sscanf(wanted.c_str(), "%u.%u", &wanted_major, &wanted_minor) != 2)
    return Refuse("minKernel \"{}\": must be MAJOR.MINOR", wanted);
  utsname name;
  if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
    return Fail(ErrorCode::kInternal, "cannot tell the kernel's version");
  return std::pair(major, minor) >= std::pair(wanted_major, wanted_minor);
}

class Parser {
 public:
  explicit Parser(CapabilitySet capabilities) : capabilities_(capabilities) {}

  Result<SeccompRules> Parse(const Json& profile) {
    const Json* action = Member(profile, "defaultAction");
    if (action == nullptr) return Refuse("defaultAction is missing");
    ASSIGN_OR_RETURN(const auto action_name, Text(*action, "defaultAction"));
    ASSIGN_OR_RETURN(const uint64_t error_number, Number(profile, "defaultErrnoRet", kEperm));
    ASSIGN_OR_RETURN(rules_.default_action, Action(action_name, error_number));
    for (const char* key : {"listenerPath", "listenerMetadata"})
      if (Member(profile, key) != nullptr)
        return Refuse("{} needs a notification listener, which is not supported", key);
    RETURN_IF_ERROR(ParseArchitectures(profile));
    RETURN_IF_ERROR(ParseFlags(profile));
    if (const Json* syscalls = Member(profile, "syscalls"); syscalls != nullptr) {
      if (!syscalls->is_array()) return Refuse("syscalls must be a list");
      for (const auto& entry : *syscalls) RETURN_IF_ERROR(ParseRule(entry));
    }
    return std::move(rules_);
  }

 private:
  Status ParseArchitectures(const Json& profile);
  Status ParseArchitectureMap(const Json& map);
  Status ParseFlags(const Json& profile);
  Status ParseRule(const Json& entry);
  Status ParseArgument(const Json& argument, SeccompRule& rule);
  // Whether docker's conditions hold here. Included: one of the architectures, all of the
  // capabilities, at least this kernel. Excluded: by any of them.
  Result<bool> Applies(const Json& entry);

  CapabilitySet capabilities_;
  SeccompRules rules_;
};

Status Parser::ParseArchitectures(const Json& profile) {
  ASSIGN_OR_RETURN(const auto names, Texts(profile, "architectures"));
  const Json* map = Member(profile, "archMap");
  if (map != nullptr && !names.empty())
    return Refuse("architectures and archMap cannot be used together");
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(const uint32_t token, Architecture(name));
    rules_.architectures.push_back(token);
  }
  if (map != nullptr) RETURN_IF_ERROR(ParseArchitectureMap(*map));
  // libseccomp always filters the native one.
  if (std::find(rules_.architectures.begin(), rules_.architectures.end(), seccomp_arch_native()) ==
      rules_.architectures.end())
    rules_.architectures.push_back(seccomp_arch_native());
  return {};
}

Status Parser::ParseArchitectureMap(const Json& map) {
  if (!map.is_array()) return Refuse("archMap must be a list");
  for (const auto& entry : map) {
    if (!entry.is_object()) return Refuse("archMap must hold objects");
    const Json* name = Member(entry, "architecture");
    if (name == nullptr) return Refuse("archMap: architecture is missing");
    ASSIGN_OR_RETURN(const auto text, Text(*name, "architecture"));
    ASSIGN_OR_RETURN(const auto below, Texts(entry, "subArchitectures"));
    const auto token = Architecture(text);
    // One that this libseccomp does not know is not this machine's.
    if (!token || *token != seccomp_arch_native()) continue;
    rules_.architectures.push_back(*token);
    for (const auto& sub : below) {
      ASSIGN_OR_RETURN(const uint32_t sub_token, Architecture(sub));
      rules_.architectures.push_back(sub_token);
    }
  }
  return {};
}

Status Parser::ParseFlags(const Json& profile) {
  ASSIGN_OR_RETURN(const auto names, Texts(profile, "flags"));
  const std::map<std::string, uint32_t> flags = {
      {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
      {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
      // One thread only when it is installed: nothing to synchronise with.
      {"SECCOMP_FILTER_FLAG_TSYNC", 0},
  };
  for (const auto& name : names) {
    const auto found = flags.find(name);
    if (found == flags.end()) return Refuse("flag \"{}\" is unknown or not supported", name);
    rules_.flags |= found->second;
  }
  return {};
}

Result<bool> Parser::Applies(const Json& entry) {
  const auto contains = [](const std::vector<std::string>& list, const std::string& word) {
    return std::find(list.begin(), list.end(), word) != list.end();
  };
  for (const bool excluding : {false, true}) {
    const Json* filter = Member(entry, excluding ? "excludes" : "includes");
    if (filter == nullptr) continue;
    if (!filter->is_object()) return Refuse("includes and excludes must be objects");
    ASSIGN_OR_RETURN(const auto architectures, Texts(*filter, "arches"));
    if (!architectures.empty() && contains(architectures, NativeName()) == excluding) return false;
    ASSIGN_OR_RETURN(const auto names, Texts(*filter, "caps"));
    for (const auto& name : names) {
      const auto number = CapabilityNumber(name);
      if ((number && capabilities_.Has(*number)) == excluding) return false;
    }
    if (const Json* kernel = Member(*filter, "minKernel"); kernel != nullptr) {
      ASSIGN_OR_RETURN(const auto text, Text(*kernel, "minKernel"));
      ASSIGN_OR_RETURN(const bool newer, KernelIsAtLeast(text));
      if (newer == excluding) return false;
    }
  }
  return true;
}

Status Parser::ParseRule(const Json& entry) {
  if (!entry.is_object()) return Refuse("syscalls must hold objects");
  SeccompRule rule;
  ASSIGN_OR_RETURN(rule.names, Texts(entry, "names"));
  if (const Json* name = Member(entry, "name"); name != nullptr) {
    ASSIGN_OR_RETURN(auto text, Text(*name, "name"));
    rule.names.push_back(std::move(text));
  }
  if (rule.names.empty()) return Refuse("syscalls: names is empty");
  const Json* action = Member(entry, "action");
  if (action == nullptr) return Refuse("syscalls: action of {} is missing", rule.names.front());
  ASSIGN_OR_RETURN(const auto action_name, Text(*action, "action"));
  ASSIGN_OR_RETURN(const uint64_t error_number, Number(entry, "errnoRet", kEperm));
  ASSIGN_OR_RETURN(rule.action, Action(action_name, error_number));
  if (const Json* arguments = Member(entry, "args"); arguments != nullptr) {
    if (!arguments->is_array()) return Refuse("args must be a list");
    for (const auto& argument : *arguments) RETURN_IF_ERROR(ParseArgument(argument, rule));
  }
  ASSIGN_OR_RETURN(const bool applies, Applies(entry));
  if (!applies) return {};
  // libseccomp takes one comparison for each argument. Several of the same one are alternatives, as
  // runc and docker have it.
  std::vector<unsigned> seen;
  bool repeated = false;
  for (const auto& argument : rule.arguments) {
    repeated |= std::find(seen.begin(), seen.end(), argument.arg) != seen.end();
    seen.push_back(argument.arg);
  }
  if (!repeated) {
    rules_.rules.push_back(std::move(rule));
    return {};
  }
  for (const auto& argument : rule.arguments)
    rules_.rules.push_back({rule.names, rule.action, {argument}});
  return {};
}

Status Parser::ParseArgument(const Json& argument, SeccompRule& rule) {
  if (!argument.is_object()) return Refuse("args must hold objects");
  const std::map<std::string, scmp_compare> operations = {
      {"SCMP_CMP_NE", SCMP_CMP_NE},
      {"SCMP_CMP_LT", SCMP_CMP_LT},
      {"SCMP_CMP_LE", SCMP_CMP_LE},
      {"SCMP_CMP_EQ", SCMP_CMP_EQ},
      {"SCMP_CMP_GE", SCMP_CMP_GE},
      {"SCMP_CMP_GT", SCMP_CMP_GT},
      {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  const Json* operation = Member(argument, "op");
  if (operation == nullptr) return Refuse("args: op is missing");
  ASSIGN_OR_RETURN(const auto name, Text(*operation, "op"));
  const auto found = operations.find(name);
  if (found == operations.end()) return Refuse("op \"{}\" is unknown", name);
  ASSIGN_OR_RETURN(const uint64_t index, Number(argument, "index", 0));
  if (index > 5) return Refuse("index {}: must be at most 5", index);
  ASSIGN_OR_RETURN(const uint64_t value, Number(argument, "value", 0));
  ASSIGN_OR_RETURN(const uint64_t second, Number(argument, "valueTwo", 0));
  rule.arguments.push_back({static_cast<unsigned>(index), found->second, value, second});
  return {};
}

}  // namespace

Result<SeccompRules> ParseSeccompJson(const std::string& json, CapabilitySet capabilities) {
  if (json.size() > kLargestProfile) return Refuse("larger than 1 MiB");
  // The parser recurses on nesting; a profile needs four levels.
  int depth = 0;
  for (const char c : json) {
    depth += (c == '[' || c == '{') ? 1 : (c == ']' || c == '}') ? -1 : 0;
    if (depth > 64) return Refuse("nested too deeply");
  }
  const Json profile = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (profile.is_discarded()) return Refuse("not valid JSON");
  if (!profile.is_object()) return Refuse("must be an object");
  return Parser(capabilities).Parse(profile);
}

}  // namespace catamaran
