#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "cri/config/ulimits.h"
#include "cri/nri/adjust_scheduling.h"
#include "cri/nri/apply_adjustment.h"
#include "cri/nri/plugin_answers.h"
#include "cri/translate/fields.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr size_t kLongestVariable = 128 << 10;  // MAX_ARG_STRLEN, execve(2)

// ---- The program ----

Status AdjustEnv(const nri::ContainerAdjustment& adjustment, spec::ProcessSpec* process) {
  for (const nri::KeyValue& variable : adjustment.env()) {
    const bool removal = MarksRemoval(variable.key());
    const std::string key = AffectedKey(variable.key());
    if (key.empty() || key.find('=') != std::string::npos || key.find('\0') != std::string::npos)
      return WrongField("env", key, "keyed by a name without '='");
    auto* env = process->mutable_env();
    env->erase(std::remove_if(env->begin(), env->end(),
                              [&](const std::string& had) { return had.starts_with(key + "="); }),
               env->end());
    if (removal) continue;
    if (variable.value().find('\0') != std::string::npos ||
        key.size() + variable.value().size() + 2 > kLongestVariable)
      // Values may be secrets.
      return Fail(ErrorCode::kInvalidArgument, "env[{}]: must be less than 128 KiB without NUL",
                  Printable(key));
    process->add_env(key + "=" + variable.value());
  }
  return {};
}

Status AdjustArgs(const nri::ContainerAdjustment& adjustment, spec::ProcessSpec* process) {
  if (adjustment.args().empty()) return {};
  for (const std::string& argument : adjustment.args())
    if (argument.find('\0') != std::string::npos)
      return WrongField("args", argument, "texts without NUL");
  *process->mutable_args() = adjustment.args();
  return {};
}

Status AdjustRlimits(const nri::ContainerAdjustment& adjustment, spec::ProcessSpec* process) {
  for (const nri::POSIXRlimit& limit : adjustment.rlimits()) {
    if (MarksRemoval(limit.type()))
      return UnsupportedField("rlimits", "a limit can be replaced, not removed");
    if (!IsRlimitName(limit.type()))
      return WrongField("rlimits.type", limit.type(), "such as RLIMIT_NOFILE");
    if (limit.soft() > limit.hard())
      return WrongField("rlimits[" + limit.type() + "].soft", std::to_string(limit.soft()),
                        fmt::format("at most hard, {}", limit.hard()));
    auto* limits = process->mutable_rlimits();
    limits->erase(
        std::remove_if(limits->begin(), limits->end(),
                       [&](const spec::Rlimit& had) { return had.name() == limit.type(); }),
        limits->end());
    spec::Rlimit* added = process->add_rlimits();
    added->set_name(limit.type());
    added->set_soft(limit.soft());
    added->set_hard(limit.hard());
  }
  return {};
}

// ---- Confinement ----

json ArgumentJson(const nri::LinuxSeccompArg& argument) {
  return {{"index", argument.index()},
          {"value", argument.value()},
          {"valueTwo", argument.value_two()},
          {"op", argument.op()}};
}

// As the "linux.seccomp" object of the OCI runtime specification, which the engine reads.
Status AdjustSeccomp(const nri::LinuxSeccomp& policy, spec::ProcessSpec* process) {
  if (!policy.listener_path().empty() || !policy.listener_metadata().empty())
    return UnsupportedField("linux.seccomp_policy.listener_path",
                            "there are no notification listeners");
  json profile = {{"defaultAction", policy.default_action()}};
  if (policy.has_default_errno()) profile["defaultErrnoRet"] = policy.default_errno().value();
  for (const std::string& name : policy.architectures()) profile["architectures"].push_back(name);
  for (const std::string& flag : policy.flags()) profile["flags"].push_back(flag);
  for (const nri::LinuxSyscall& rule : policy.syscalls()) {
    json entry = {{"names", std::vector<std::string>(rule.names().begin(), rule.names().end())},
                  {"action", rule.action()}};
    if (rule.has_errno_ret()) entry["errnoRet"] = rule.errno_ret().value();
    for (const auto& argument : rule.args()) entry["args"].push_back(ArgumentJson(argument));
    profile["syscalls"].push_back(std::move(entry));
  }
  process->mutable_seccomp()->set_kind(spec::SeccompProfile::LOCALHOST);
  process->mutable_seccomp()->set_profile_json(
      profile.dump(-1, ' ', false, json::error_handler_t::replace));
  return {};
}

// ---- Mounts that the CRI has no words for ----

Status ReadTmpfsOption(const std::string& option, const std::string& field, spec::Mount* out) {
  const auto number = [&](std::string_view text, int base, uint64_t unit, auto set) -> Status {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size() || value > (1ULL << 50) / unit)
      return WrongField(field + ".options", option, "a number");
    set(value * unit);
    return {};
  };
  if (option == "rw") return {};
  if (option == "ro") {
    out->set_readonly(true);
    return {};
  }
  if (option == "noexec" || option == "nodev" || option == "nosuid") {
    out->add_options(option);
    return {};
  }
  if (option.starts_with("mode="))
    return number(std::string_view(option).substr(5), 8, 1, [&](uint64_t mode) {
      out->mutable_tmpfs()->set_mode(static_cast<uint32_t>(mode & 07777));
    });
  if (option.starts_with("size=")) {
    std::string_view text = std::string_view(option).substr(5);
    uint64_t unit = 1;
    if (!text.empty() && std::string_view("kmg").find(text.back()) != std::string_view::npos) {
      unit = text.back() == 'k' ? 1ULL << 10 : text.back() == 'm' ? 1ULL << 20 : 1ULL << 30;
      text.remove_suffix(1);
    }
    return number(text, 10, unit,
                  [&](uint64_t size) { out->mutable_tmpfs()->set_size_bytes(size); });
  }
  return UnsupportedField(field + ".options",
                          "\"" + Printable(option) + "\" is not supported of a tmpfs");
}

Status AddTmpfs(const nri::Mount& mount, const std::string& field, spec::ContainerSpec* container) {
  ASSIGN_OR_RETURN(const std::string path,
                   CheckAbsolutePath(field + ".destination", mount.destination()));
  if (path == "/") return WrongField(field + ".destination", path, "below the root");
  spec::Mount added;
  added.set_container_path(path);
  added.mutable_tmpfs()->set_mode(01777);
  for (const std::string& option : mount.options())
    RETURN_IF_ERROR(ReadTmpfsOption(option, field, &added));
  // Parents before children, as all mounts are.
  const auto depth = [](const spec::Mount& m) {
    return std::count(m.container_path().begin(), m.container_path().end(), '/');
  };
  *container->add_mounts() = added;
  std::stable_sort(container->mutable_mounts()->begin(), container->mutable_mounts()->end(),
                   [&](const spec::Mount& a, const spec::Mount& b) { return depth(a) < depth(b); });
  return {};
}

// The OCI hooks of the plugins, after those that the container has. The engine checks them.
Status AddHooks(const nri::Hooks& wanted, spec::Hooks* hooks) {
  const auto add = [](const auto& from, auto* to) -> Status {
    for (const nri::Hook& hook : from) {
      spec::Hook* added = to->Add();
      added->set_path(hook.path());
      *added->mutable_args() = hook.args();
      *added->mutable_env() = hook.env();
      if (!hook.has_timeout()) continue;
      const int64_t seconds = hook.timeout().value();
      if (seconds < 1 || seconds > INT32_MAX)
        return WrongField("hooks.timeout", seconds, "from 1 to 2147483647");
      added->set_timeout_seconds(static_cast<uint32_t>(seconds));
    }
    return {};
  };
  RETURN_IF_ERROR(add(wanted.prestart(), hooks->mutable_prestart()));
  RETURN_IF_ERROR(add(wanted.create_runtime(), hooks->mutable_create_runtime()));
  RETURN_IF_ERROR(add(wanted.create_container(), hooks->mutable_create_container()));
  RETURN_IF_ERROR(add(wanted.start_container(), hooks->mutable_start_container()));
  RETURN_IF_ERROR(add(wanted.poststart(), hooks->mutable_poststart()));
  return add(wanted.poststop(), hooks->mutable_poststop());
}

// ---- What this engine does not do ----

Status RefuseUnsupported(const nri::ContainerAdjustment& adjustment) {
  const nri::LinuxContainerAdjustment& linux = adjustment.linux();
  if (!linux.cgroups_path().empty())
    return UnsupportedField("linux.cgroups_path", "a container's group lies in its pod's");
  if (!linux.namespaces().empty())
    return UnsupportedField("linux.namespaces", "a container's namespaces are its pod's");
  if (!linux.sysctl().empty())
    return UnsupportedField("linux.sysctl", "they are the pod's, from its configuration");
  if (!linux.net_devices().empty())
    return UnsupportedField("linux.net_devices", "network devices are the pod's");
  if (linux.has_rdt() && (linux.rdt().has_clos_id() || linux.rdt().has_schemata() ||
                          linux.rdt().has_enable_monitoring()))
    return UnsupportedField("linux.rdt", "no RDT classes are configured");
  if (linux.has_memory_policy())
    return UnsupportedField("linux.memory_policy", "memory policies are not set");
  return {};
}

}  // namespace

Status AdjustSpec(const nri::ContainerAdjustment& adjustment, spec::ContainerSpec* container) {
  RETURN_IF_ERROR(RefuseUnsupported(adjustment));
  spec::ProcessSpec* process = container->mutable_process();
  RETURN_IF_ERROR(AdjustEnv(adjustment, process));
  RETURN_IF_ERROR(AdjustArgs(adjustment, process));
  RETURN_IF_ERROR(AdjustRlimits(adjustment, process));
  if (adjustment.has_hooks())
    RETURN_IF_ERROR(AddHooks(adjustment.hooks(), container->mutable_hooks()));
  RETURN_IF_ERROR(AdjustScheduling(adjustment.linux(), process));
  if (adjustment.linux().has_seccomp_policy())
    RETURN_IF_ERROR(AdjustSeccomp(adjustment.linux().seccomp_policy(), process));
  for (int i = 0; i < adjustment.mounts_size(); ++i) {
    const nri::Mount& mount = adjustment.mounts(i);
    if (mount.type() == "tmpfs" && !MarksRemoval(mount.destination()))
      RETURN_IF_ERROR(AddTmpfs(mount, fmt::format("mounts[{}]", i), container));
  }
  const int64_t pids = adjustment.linux().resources().pids().limit();
  if (pids != 0) container->mutable_resources()->set_pids_limit(pids);
  return {};
}

}  // namespace catamaran
