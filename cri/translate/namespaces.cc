#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

using runtime::v1::NamespaceMode;
using runtime::v1::NamespaceOption;

const std::string kOptions = "config.linux.security_context.namespace_options";

std::string NameOf(NamespaceMode mode) {
  const std::string& name = runtime::v1::NamespaceMode_Name(mode);
  return name.empty() ? std::to_string(mode) : name;
}

Status CheckModes(const NamespaceOption& options) {
  const std::pair<const char*, NamespaceMode> shared[] = {{".network", options.network()},
                                                          {".ipc", options.ipc()}};
  for (const auto& [name, mode] : shared) {
    if (mode != runtime::v1::POD && mode != runtime::v1::NODE) {
      return WrongField(kOptions + name, NameOf(mode), "POD or NODE");
    }
  }
  if (!runtime::v1::NamespaceMode_IsValid(options.pid())) {
    return WrongField(kOptions + ".pid", NameOf(options.pid()), "POD, CONTAINER, NODE or TARGET");
  }
  return {};
}

Status CheckMapping(const std::string& field,
                    const google::protobuf::RepeatedPtrField<runtime::v1::IDMapping>& mappings) {
  if (mappings.size() != 1) {
    return WrongField(field, mappings.size(), "exactly one mapping with mode POD");
  }
  const auto& mapping = mappings[0];
  if (mapping.container_id() != 0) {
    return WrongField(field + "[0].container_id", mapping.container_id(),
                      "0: the container's root must be mapped");
  }
  // The last id, 2^32-1, means "no change" to the kernel.
  if (mapping.length() < 1 || uint64_t{mapping.host_id()} + mapping.length() > UINT32_MAX) {
    return WrongField(field + "[0].length", mapping.length(),
                      "at least 1, and host_id + length at most 4294967295");
  }
  return {};
}

Result<spec::UserNamespace> ToUserNamespace(const runtime::v1::UserNamespace& options) {
  const std::string field = kOptions + ".userns_options";
  spec::UserNamespace out;
  if (options.mode() == runtime::v1::NODE) {
    if (options.uids_size() + options.gids_size() > 0) {
      return WrongField(field + ".uids", options.uids_size() + options.gids_size(),
                        "empty with mode NODE, as gids must");
    }
    return out;
  }
  if (options.mode() != runtime::v1::POD) {
    return WrongField(field + ".mode", NameOf(options.mode()), "POD or NODE");
  }
  RETURN_IF_ERROR(CheckMapping(field + ".uids", options.uids()));
  RETURN_IF_ERROR(CheckMapping(field + ".gids", options.gids()));
  const auto copy = [](const runtime::v1::IDMapping& from, spec::IdMapping* to) {
    to->set_container_id(from.container_id());
    to->set_host_id(from.host_id());
    to->set_length(from.length());
  };
  copy(options.uids(0), out.add_uids());
  copy(options.gids(0), out.add_gids());
  return out;
}

// What only namespaces of the host's kernel can share with the host.
Status RefuseForVm(const NamespaceOption& options) {
  const std::string why = "POD: a virtual machine shares nothing of the host's kernel";
  if (options.network() == runtime::v1::NODE) return WrongField(kOptions + ".network", "NODE", why);
  if (options.pid() == runtime::v1::NODE) {
    return WrongField(kOptions + ".pid", "NODE",
                      "POD or CONTAINER: a virtual machine shares nothing of the host's kernel");
  }
  if (options.ipc() == runtime::v1::NODE) return WrongField(kOptions + ".ipc", "NODE", why);
  if (options.has_userns_options() && options.userns_options().mode() == runtime::v1::POD) {
    return WrongField(kOptions + ".userns_options.mode", "POD",
                      "NODE: a virtual machine's volumes are not id-mapped");
  }
  return {};
}

Status TranslateUserNamespace(const NamespaceOption& options, spec::SandboxSpec* out) {
  if (!options.has_userns_options()) return {};
  ASSIGN_OR_RETURN(spec::UserNamespace users, ToUserNamespace(options.userns_options()));
  if (users.uids_size() == 0) return {};
  // The node's network can be shared: its owner stays the node, and the pod may only use it.
  const std::pair<const char*, NamespaceMode> others[] = {{".pid", options.pid()},
                                                          {".ipc", options.ipc()}};
  for (const auto& [name, mode] : others) {
    if (mode == runtime::v1::NODE) {
      return WrongField(kOptions + name, "NODE", "other than NODE in a user namespace of the pod");
    }
  }
  *out->mutable_user_namespace() = std::move(users);
  return {};
}

}  // namespace

Status TranslateSandboxNamespaces(const runtime::v1::LinuxSandboxSecurityContext& context,
                                  const HandlerConfig& handler, spec::SandboxSpec* out) {
  const NamespaceOption& options = context.namespace_options();
  RETURN_IF_ERROR(CheckModes(options));
  if (options.pid() == runtime::v1::TARGET) {
    return WrongField(kOptions + ".pid", "TARGET", "POD, CONTAINER or NODE for a sandbox");
  }
  if (!options.target_id().empty()) {
    return WrongField(kOptions + ".target_id", options.target_id(), "empty for a sandbox");
  }
  if (IsVm(handler)) RETURN_IF_ERROR(RefuseForVm(options));
  // The enums have the same values by design of the spec.
  out->set_network(static_cast<spec::NamespaceMode>(options.network()));
  out->set_pid(static_cast<spec::NamespaceMode>(options.pid()));
  out->set_ipc(static_cast<spec::NamespaceMode>(options.ipc()));
  return TranslateUserNamespace(options, out);
}

Status TranslateContainerNamespaces(const runtime::v1::LinuxContainerSecurityContext& context,
                                    const spec::SandboxSpec& sandbox, spec::ContainerSpec* out) {
  // A request without a word on namespaces means those of the sandbox.
  if (!context.has_namespace_options()) {
    out->set_pid(sandbox.pid());
    return {};
  }
  const NamespaceOption& options = context.namespace_options();
  RETURN_IF_ERROR(CheckModes(options));
  const std::tuple<const char*, NamespaceMode, spec::NamespaceMode> of_sandbox[] = {
      {".network", options.network(), sandbox.network()},
      {".ipc", options.ipc(), sandbox.ipc()},
      {".pid", options.pid(), sandbox.pid()}};
  for (const auto& [name, mode, had] : of_sandbox) {
    if (mode == runtime::v1::NODE && had != spec::NODE) {
      return WrongField(kOptions + name, "NODE",
                        "what the sandbox was made with, which is not NODE");
    }
  }
  if (options.has_userns_options()) {
    ASSIGN_OR_RETURN(const spec::UserNamespace users, ToUserNamespace(options.userns_options()));
    if (users.SerializeAsString() != sandbox.user_namespace().SerializeAsString()) {
      return WrongField(kOptions + ".userns_options", NameOf(options.userns_options().mode()),
                        "the same as the sandbox's");
    }
  }
  if (options.pid() == runtime::v1::TARGET) {
    if (options.target_id().empty()) {
      return WrongField(kOptions + ".target_id", "", "a container of the same sandbox");
    }
    RETURN_IF_ERROR(CheckId(kOptions + ".target_id", options.target_id()));
    out->set_pid_target(options.target_id());
  } else if (!options.target_id().empty()) {
    return WrongField(kOptions + ".target_id", options.target_id(), "empty unless pid is TARGET");
  }
  // "Shared by the pod" is what the sandbox has for its containers, which may be the node's.
  const bool inherits = options.pid() == runtime::v1::POD && sandbox.pid() == spec::NODE;
  out->set_pid(inherits ? spec::NODE : static_cast<spec::NamespaceMode>(options.pid()));
  if (out->pid() == spec::POD && sandbox.pid() != spec::POD) {
    return WrongField(kOptions + ".pid", "POD",
                      "CONTAINER or TARGET in a sandbox made without a shared one");
  }
  return {};
}

}  // namespace catamaran
