#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

using CriMount = runtime::v1::Mount;

constexpr std::array<std::string_view, 3> kOptions = {"noexec", "nodev", "nosuid"};

Status CheckVmSource(const std::string& field, const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return {};  // a missing one is made later, as a folder
  if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) return {};
  return WrongField(
      field, path,
      "a file or a folder: sockets, pipes and devices of the host do not reach into a "
      "virtual machine");
}

Status TranslateSource(const CriMount& mount, const std::string& field, const ContainerInput& input,
                       spec::Mount* out) {
  if (mount.has_image() && !mount.image().image().empty()) {
    if (!mount.host_path().empty()) {
      return WrongField(field + ".host_path", mount.host_path(), "empty where image is set");
    }
    if (!mount.readonly()) {
      return WrongField(field + ".readonly", "false", "true for an image, which cannot be written");
    }
    out->mutable_image();
    if (!mount.image_sub_path().empty()) {
      ASSIGN_OR_RETURN(*out->mutable_image()->mutable_sub_path(),
                       CheckRelativePath(field + ".image_sub_path", mount.image_sub_path()));
    }
    return {};
  }
  if (!mount.image_sub_path().empty()) {
    return WrongField(field + ".image_sub_path", mount.image_sub_path(), "empty without image");
  }
  ASSIGN_OR_RETURN(const std::string path,
                   CheckAbsolutePath(field + ".host_path", mount.host_path()));
  if (IsVm(input.handler)) RETURN_IF_ERROR(CheckVmSource(field + ".host_path", path));
  out->set_host_path(path);
  return {};
}

Status TranslatePropagation(const CriMount& mount, const std::string& field,
                            const ContainerInput& input, spec::Mount* out) {
  if (!runtime::v1::MountPropagation_IsValid(mount.propagation())) {
    return WrongField(field + ".propagation", static_cast<int64_t>(mount.propagation()),
                      "PROPAGATION_PRIVATE, _HOST_TO_CONTAINER or _BIDIRECTIONAL");
  }
  const bool is_private = mount.propagation() == runtime::v1::PROPAGATION_PRIVATE;
  const std::string name = runtime::v1::MountPropagation_Name(mount.propagation());
  if (!is_private && IsVm(input.handler)) {
    return WrongField(field + ".propagation", name,
                      "PROPAGATION_PRIVATE: mounts do not travel between the host and a virtual "
                      "machine");
  }
  if (mount.propagation() == runtime::v1::PROPAGATION_BIDIRECTIONAL &&
      input.sandbox.has_user_namespace()) {
    return WrongField(field + ".propagation", name,
                      "PROPAGATION_PRIVATE or _HOST_TO_CONTAINER in a user namespace of the pod: "
                      "what is mounted there never shows on the node");
  }
  if (!is_private && out->has_image()) {
    return WrongField(field + ".propagation", name, "PROPAGATION_PRIVATE for an image");
  }
  if (mount.recursive_read_only()) {
    if (!mount.readonly()) {
      return WrongField(field + ".recursive_read_only", "true", "false unless readonly is true");
    }
    if (!is_private) {
      return WrongField(field + ".recursive_read_only", "true",
                        "false unless propagation is PROPAGATION_PRIVATE");
    }
  }
  out->set_propagation(static_cast<spec::MountPropagation>(mount.propagation()));
  out->set_readonly(mount.readonly());
  out->set_recursive_readonly(mount.recursive_read_only());
  return {};
}

Status TranslateOptions(const CriMount& mount, const std::string& field, spec::Mount* out) {
  for (int i = 0; i < mount.mount_options_size(); ++i) {
    const std::string& option = mount.mount_options(i);
    if (std::find(kOptions.begin(), kOptions.end(), option) == kOptions.end()) {
      return WrongField(fmt::format("{}.mount_options[{}]", field, i), option,
                        "noexec, nodev or nosuid");
    }
    const auto& had = out->options();
    if (std::find(had.begin(), had.end(), option) == had.end()) out->add_options(option);
  }
  return {};
}

Status TranslateMappings(const CriMount& mount, const std::string& field,
                         const spec::SandboxSpec& sandbox, spec::Mount* out) {
  if (mount.uidmappings_size() == 0 && mount.gidmappings_size() == 0) return {};
  if (!sandbox.has_user_namespace()) {
    return WrongField(field + ".uidMappings", mount.uidmappings_size() + mount.gidmappings_size(),
                      "empty, as gidMappings must, in a sandbox without a user namespace");
  }
  if (mount.uidmappings_size() == 0 || mount.gidmappings_size() == 0) {
    return WrongField(field + ".uidMappings", mount.uidmappings_size(),
                      "given together with gidMappings");
  }
  const auto copy = [&](const auto& from, const char* name, auto add) -> Status {
    for (int i = 0; i < from.size(); ++i) {
      if (from[i].length() < 1) {
        return WrongField(fmt::format("{}.{}[{}].length", field, name, i), from[i].length(),
                          "at least 1");
      }
      spec::IdMapping* to = add();
      to->set_container_id(from[i].container_id());
      to->set_host_id(from[i].host_id());
      to->set_length(from[i].length());
    }
    return {};
  };
  RETURN_IF_ERROR(
      copy(mount.uidmappings(), "uidMappings", [out] { return out->add_uid_mappings(); }));
  return copy(mount.gidmappings(), "gidMappings", [out] { return out->add_gid_mappings(); });
}

Result<spec::Mount> TranslateMount(const CriMount& mount, const std::string& field,
                                   const ContainerInput& input) {
  spec::Mount out;
  ASSIGN_OR_RETURN(*out.mutable_container_path(),
                   CheckAbsolutePath(field + ".container_path", mount.container_path()));
  if (out.container_path() == "/") {
    return WrongField(field + ".container_path", "/", "below the root, which is the image's");
  }
  RETURN_IF_ERROR(TranslateSource(mount, field, input, &out));
  RETURN_IF_ERROR(TranslatePropagation(mount, field, input, &out));
  RETURN_IF_ERROR(TranslateOptions(mount, field, &out));
  RETURN_IF_ERROR(TranslateMappings(mount, field, input.sandbox, &out));
  // Without a label of the container's there is none to give, as with other runtimes.
  const auto& security = input.config.linux().security_context();
  const bool has_label = !security.privileged() && AsksForALabel(security.selinux_options());
  out.set_selinux_relabel(mount.selinux_relabel() && input.host.selinux && has_label &&
                          out.has_host_path() && !IsVm(input.handler));
  return out;
}

auto Depth(const spec::Mount& mount) {
  return std::count(mount.container_path().begin(), mount.container_path().end(), '/');
}

}  // namespace

Status TranslateMounts(const ContainerInput& input, spec::ContainerSpec* out) {
  for (int i = 0; i < input.config.mounts_size(); ++i) {
    ASSIGN_OR_RETURN(
        *out->add_mounts(),
        TranslateMount(input.config.mounts(i), fmt::format("config.mounts[{}]", i), input));
  }
  // Parents before children; of two at one place the later one ends on top.
  auto* mounts = out->mutable_mounts();
  std::stable_sort(mounts->begin(), mounts->end(),
                   [](const spec::Mount& a, const spec::Mount& b) { return Depth(a) < Depth(b); });
  return {};
}

}  // namespace catamaran
