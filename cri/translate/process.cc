#include <algorithm>

#include "cri/base/text.h"
#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

const char kDefaultPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// A command of the request replaces the image's entrypoint and command, its args only the latter.
Status TranslateArgs(const ContainerInput& input, spec::ProcessSpec* out) {
  const auto& config = input.config;
  for (int i = 0; i < config.command_size(); ++i) {
    if (HasNul(config.command(i))) {
      return WrongField(fmt::format("config.command[{}]", i), config.command(i),
                        "without NUL bytes");
    }
    out->add_args(config.command(i));
  }
  for (int i = 0; i < config.args_size(); ++i) {
    if (HasNul(config.args(i))) {
      return WrongField(fmt::format("config.args[{}]", i), config.args(i), "without NUL bytes");
    }
  }
  if (config.command_size() == 0) {
    for (const std::string& word : input.image.config.entrypoint) out->add_args(word);
  }
  for (const std::string& word : config.args()) out->add_args(word);
  if (config.command_size() == 0 && config.args_size() == 0) {
    for (const std::string& word : input.image.config.command) out->add_args(word);
  }
  if (out->args_size() == 0 || out->args(0).empty()) {
    return WrongField("config.command", "",
                      "a program, because the image names neither entrypoint nor command");
  }
  return {};
}

std::string_view KeyOf(std::string_view variable) { return variable.substr(0, variable.find('=')); }

// A later value of the same name replaces the earlier one in its place.
void SetVariable(std::string variable, spec::ProcessSpec* out) {
  for (std::string& existing : *out->mutable_env()) {
    if (KeyOf(existing) == KeyOf(variable)) {
      existing = std::move(variable);
      return;
    }
  }
  out->add_env(std::move(variable));
}

Status TranslateEnvironment(const ContainerInput& input, spec::ProcessSpec* out) {
  out->add_env(kDefaultPath);
  if (input.config.tty()) out->add_env("TERM=xterm");
  out->add_env("HOSTNAME=" + input.sandbox.hostname());
  for (const std::string& variable : input.image.config.env) {
    const bool usable = variable.find('=') != std::string::npos && variable.front() != '=';
    if (usable && !HasNul(variable)) SetVariable(variable, out);
  }
  for (int i = 0; i < input.config.envs_size(); ++i) {
    const auto& variable = input.config.envs(i);
    const std::string field = fmt::format("config.envs[{}]", i);
    if (variable.key().empty() || variable.key().find('=') != std::string::npos ||
        HasNul(variable.key())) {
      return WrongField(field + ".key", variable.key(), "a name without '=' and NUL bytes");
    }
    if (HasNul(variable.value())) {
      // Values may be secrets: the message names the variable only.
      return Fail(ErrorCode::kInvalidArgument, "{}.value: of {}: must be without NUL bytes", field,
                  Printable(variable.key()));
    }
    SetVariable(variable.key() + "=" + variable.value(), out);
  }
  return {};
}

Status TranslateWorkingDirectory(const ContainerInput& input, spec::ProcessSpec* out) {
  if (!input.config.working_dir().empty()) {
    ASSIGN_OR_RETURN(*out->mutable_cwd(),
                     CheckAbsolutePath("config.working_dir", input.config.working_dir()));
    return {};
  }
  // The image's word is taken from its root whatever it says: it is resolved inside the container.
  const std::string& of_image = input.image.config.working_directory;
  out->set_cwd(of_image.starts_with('/') ? of_image : "/" + of_image);
  return {};
}

Status TranslateUser(const ContainerInput& input, spec::UserSpec* out) {
  const std::string prefix = "config.linux.security_context.";
  const auto& context = input.config.linux().security_context();
  const bool named = !context.run_as_username().empty();
  if (named) {
    const std::string& name = context.run_as_username();
    if (name.find(':') != std::string::npos || HasControlCharacters(name) || name.size() > 256) {
      return WrongField(prefix + "run_as_username", name, "a user's name without ':'");
    }
    out->set_user(name);
  } else if (context.has_run_as_user()) {
    ASSIGN_OR_RETURN(const uint32_t uid,
                     CheckUserOrGroupId(prefix + "run_as_user", context.run_as_user().value()));
    out->set_user(std::to_string(uid));
  } else {
    out->set_user(input.image.config.user);
  }
  if (context.has_run_as_group()) {
    const int64_t group = context.run_as_group().value();
    if (!named && !context.has_run_as_user()) {
      return WrongField(prefix + "run_as_group", group,
                        "absent without run_as_user or run_as_username");
    }
    ASSIGN_OR_RETURN(const uint32_t gid, CheckUserOrGroupId(prefix + "run_as_group", group));
    out->set_has_gid(true);
    out->set_gid(gid);
  }
  for (int i = 0; i < context.supplemental_groups_size(); ++i) {
    ASSIGN_OR_RETURN(const uint32_t gid,
                     CheckUserOrGroupId(fmt::format("{}supplemental_groups[{}]", prefix, i),
                                        context.supplemental_groups(i)));
    out->add_supplemental_groups(gid);
  }
  const auto policy = context.supplemental_groups_policy();
  if (!runtime::v1::SupplementalGroupsPolicy_IsValid(policy)) {
    return WrongField(prefix + "supplemental_groups_policy", static_cast<int64_t>(policy),
                      "Merge or Strict");
  }
  out->set_groups_policy(policy == runtime::v1::Strict ? spec::STRICT : spec::MERGE);
  return {};
}

}  // namespace

Status TranslateProcess(const ContainerInput& input, spec::ProcessSpec* out) {
  RETURN_IF_ERROR(TranslateArgs(input, out));
  RETURN_IF_ERROR(TranslateEnvironment(input, out));
  RETURN_IF_ERROR(TranslateWorkingDirectory(input, out));
  RETURN_IF_ERROR(TranslateUser(input, out->mutable_user()));
  out->set_terminal(input.config.tty());
  const auto& config = input.config.linux();
  out->set_no_new_privileges(config.security_context().no_new_privs());
  if (config.has_resources()) {
    out->set_has_oom_score_adj(true);
    out->set_oom_score_adj(static_cast<int32_t>(config.resources().oom_score_adj()));
  }
  return {};
}

}  // namespace catamaran
