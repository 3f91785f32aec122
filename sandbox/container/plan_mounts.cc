#include "sandbox/container/plan_mounts.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "sandbox/container/id_maps.h"
#include "sandbox/container/mount_guard.h"

namespace catamaran {
namespace {

constexpr uint64_t kHardened = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
constexpr size_t kMaximumMounts = 4096;
constexpr uint32_t kTtyGroup = 5;

// File systems in memory, whose files have the label that the mount is given (mount(8), "context").
constexpr std::array<std::string_view, 2> kLabelled = {"tmpfs", "devpts"};

PlannedMount Filesystem(std::string target, std::string type,
                        std::vector<std::pair<std::string, std::string>> parameters,
                        uint64_t attributes) {
  PlannedMount mount;
  mount.target = std::move(target);
  mount.type = std::move(type);
  mount.parameters = std::move(parameters);
  mount.attributes = attributes;
  return mount;
}

PlannedMount Bind(std::string target, std::string source, uint64_t attributes) {
  PlannedMount mount;
  mount.kind = MountKind::kBind;
  mount.target = std::move(target);
  mount.source = std::move(source);
  mount.attributes = attributes;
  return mount;
}

// cgroup v2: a mount of the container's own cgroup namespace. v1 has the group's folder of each
// hierarchy. A privileged container sees the machine's tree.
void AddCgroupMounts(const PlanInput& input, std::vector<PlannedMount>& mounts) {
  const char* kRoot = "/sys/fs/cgroup";
  if (input.container.privileged()) {
    PlannedMount all = Bind(kRoot, kRoot, kHardened);
    all.recursive = all.recursive_attributes = true;
    mounts.push_back(std::move(all));
    return;
  }
  if (input.cgroups.unified) {
    mounts.push_back(Filesystem(kRoot, "cgroup2", {}, kHardened | MOUNT_ATTR_RDONLY));
    return;
  }
  mounts.push_back(Filesystem(kRoot, "tmpfs", {{"mode", "755"}, {"size", "64k"}}, kHardened));
  for (const auto& hierarchy : input.cgroups.mounts) {
    const std::string mount_point = std::string(kRoot) + "/" + hierarchy;
    mounts.push_back(
        Bind(mount_point, mount_point + input.cgroup_path, kHardened | MOUNT_ATTR_RDONLY));
  }
}

// Terminals are of group 5, "tty", where there is such a group.
PlannedMount Devpts(const spec::SandboxSpec& sandbox) {
  std::vector<std::pair<std::string, std::string>> parameters = {
      {"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  const auto tty = sandbox.has_user_namespace()
                       ? OutsideId(sandbox.user_namespace().gids(), kTtyGroup)
                       : std::optional(kTtyGroup);
  if (tty) parameters.emplace_back("gid", std::to_string(*tty));
  return Filesystem("/dev/pts", "devpts", std::move(parameters),
                    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

std::vector<PlannedMount> OwnMounts(const PlanInput& input) {
  std::vector<PlannedMount> mounts;
  const uint64_t sys_readonly = input.container.privileged() ? 0 : MOUNT_ATTR_RDONLY;
  mounts.push_back(Filesystem("/proc", "proc", {}, kHardened));
  mounts.push_back(Filesystem("/dev", "tmpfs", {{"mode", "755"}, {"size", "65536k"}},
                              MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME));
  mounts.push_back(Devpts(input.sandbox));
  mounts.push_back(Filesystem("/dev/mqueue", "mqueue", {}, kHardened));
  if (input.sandbox.ipc() == spec::NODE) {
    mounts.push_back(Bind("/dev/shm", "/dev/shm", kHardened));
  } else {
    PlannedMount shm;
    shm.kind = MountKind::kSharedMemory;
    shm.target = "/dev/shm";
    shm.attributes = kHardened;
    mounts.push_back(std::move(shm));
  }
  mounts.push_back(Filesystem("/sys", "sysfs", {}, kHardened | sys_readonly));
  AddCgroupMounts(input, mounts);
  return mounts;
}

void AddLabels(const PlanInput& input, std::vector<PlannedMount>& mounts) {
  const std::string& label = input.container.mount_label();
  if (label.empty()) return;
  for (auto& mount : mounts) {
    if (std::find(kLabelled.begin(), kLabelled.end(), mount.type) != kLabelled.end())
      mount.parameters.emplace_back("context", label);
    // Its files are the ipc namespace's, made before any mount of them could say "context".
    if (mount.type == "mqueue" && input.sandbox.ipc() != spec::NODE) mount.label = label;
  }
}

Status AddSandboxFiles(const PlanInput& input, std::vector<PlannedMount>& mounts) {
  for (int i = 0; i < input.sandbox.files_size(); ++i) {
    ASSIGN_OR_RETURN(
        const std::string target,
        NormalContainerPath(input.sandbox.files(i).container_path(), "files.container_path"));
    mounts.push_back(Bind(target, SandboxFilePath(input.sandbox, i),
                          input.container.rootfs().readonly() ? MOUNT_ATTR_RDONLY : 0));
  }
  return {};
}

Result<uint64_t> AttributesOf(const spec::Mount& mount, const std::string& field) {
  uint64_t attributes = mount.readonly() ? MOUNT_ATTR_RDONLY : 0;
  for (const auto& option : mount.options()) {
    if (option == "noexec") {
      attributes |= MOUNT_ATTR_NOEXEC;
    } else if (option == "nodev") {
      attributes |= MOUNT_ATTR_NODEV;
    } else if (option == "nosuid") {
      attributes |= MOUNT_ATTR_NOSUID;
    } else {
      return Fail(ErrorCode::kInvalidArgument,
                  "{}.options \"{}\": only noexec, nodev and nosuid are known", field, option);
    }
  }
  return attributes;
}

Status CheckCombination(const spec::Mount& mount, const std::string& field) {
  if (mount.recursive_readonly() && !mount.readonly())
    return Fail(ErrorCode::kInvalidArgument, "{}.recursive_readonly needs readonly", field);
  if (mount.recursive_readonly() && mount.propagation() != spec::PRIVATE)
    return Fail(ErrorCode::kInvalidArgument, "{}.recursive_readonly needs private propagation",
                field);
  if (mount.has_image() && !mount.readonly())
    return Fail(ErrorCode::kInvalidArgument, "{}.image must be readonly", field);
  return {};
}

// What a mount's ids show as. Images come with ids of their own, which are the container's.
Result<std::optional<IdMaps>> IdMapsOf(const spec::Mount& mount, const spec::SandboxSpec& sandbox,
                                       const std::string& field) {
  spec::UserNamespace maps;
  *maps.mutable_uids() = mount.uid_mappings();
  *maps.mutable_gids() = mount.gid_mappings();
  if (maps.uids_size() + maps.gids_size() == 0) {
    if (!mount.has_image() || !sandbox.has_user_namespace()) return std::optional<IdMaps>();
    return std::optional(ToIdMaps(sandbox.user_namespace()));
  }
  if (!sandbox.has_user_namespace())
    return Fail(ErrorCode::kInvalidArgument, "{}.uid_mappings: the sandbox has no user namespace",
                field);
  if (mount.has_tmpfs())
    return Fail(ErrorCode::kInvalidArgument, "{}.uid_mappings: not with tmpfs, which is new",
                field);
  RETURN_IF_ERROR(CheckMappings(maps, field + ".mappings"));
  return std::optional(ToIdMaps(maps));
}

// The machine's own folders are never given to a container.
Status PlanRelabelling(const spec::Mount& mount, const std::string& field, const std::string& label,
                       PlannedMount& planned) {
  static constexpr std::array<std::string_view, 17> kMachines = {
      "/",     "/bin",  "/boot", "/dev",  "/etc", "/home", "/lib", "/lib64", "/media",
      "/proc", "/root", "/run",  "/sbin", "/sys", "/tmp",  "/usr", "/var"};
  if (label.empty())
    return Fail(ErrorCode::kInvalidArgument,
                "{}.selinux_relabel: the container has no SELinux label to give", field);
  ASSIGN_OR_RETURN(const auto source, NormalContainerPath(mount.host_path(), field + ".host_path"));
  if (std::find(kMachines.begin(), kMachines.end(), source) != kMachines.end())
    return Fail(ErrorCode::kInvalidArgument, "{}.selinux_relabel: {} belongs to the machine", field,
                source);
  planned.label = label;
  return {};
}

Result<PlannedMount> RequestedMount(const spec::Mount& mount, const PlanInput& input,
                                    const std::string& field) {
  const spec::SandboxSpec& sandbox = input.sandbox;
  PlannedMount planned;
  planned.field = field;
  ASSIGN_OR_RETURN(planned.target,
                   NormalContainerPath(mount.container_path(), field + ".container_path"));
  RETURN_IF_ERROR(CheckMountTarget(planned.target, field));
  RETURN_IF_ERROR(CheckCombination(mount, field));
  ASSIGN_OR_RETURN(planned.attributes, AttributesOf(mount, field));
  ASSIGN_OR_RETURN(planned.id_maps, IdMapsOf(mount, sandbox, field));
  // What a process mounts in a user namespace of its own is never passed on to the machine.
  if (mount.propagation() == spec::BIDIRECTIONAL && sandbox.has_user_namespace())
    return Fail(ErrorCode::kInvalidArgument,
                "{}.propagation BIDIRECTIONAL: not in a user namespace of the pod", field);
  planned.propagation = mount.propagation();
  if (mount.selinux_relabel())
    RETURN_IF_ERROR(PlanRelabelling(mount, field, input.container.mount_label(), planned));
  planned.recursive_attributes = mount.recursive_readonly();
  switch (mount.source_case()) {
    case spec::Mount::kHostPath:
      if (mount.host_path().empty() || mount.host_path()[0] != '/')
        return Fail(ErrorCode::kInvalidArgument, "{}.host_path \"{}\": an absolute path is needed",
                    field, mount.host_path());
      planned.kind = MountKind::kBind;
      planned.source = mount.host_path();
      planned.recursive = true;
      return planned;
    case spec::Mount::kTmpfs:
      planned.type = "tmpfs";
      planned.parameters = {{"mode", fmt::format("{:o}", mount.tmpfs().mode() & 07777)}};
      if (mount.tmpfs().size_bytes() > 0)
        planned.parameters.emplace_back("size", std::to_string(mount.tmpfs().size_bytes()));
      return planned;
    case spec::Mount::kImage:
      planned.kind = MountKind::kImage;
      planned.image = mount.image();
      return planned;
    case spec::Mount::kVolumePath:
      return Fail(ErrorCode::kInvalidArgument,
                  "{}.volume_path: the agent resolves these before the engine sees them", field);
    case spec::Mount::SOURCE_NOT_SET:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "{} has no source: host_path, tmpfs or image", field);
}

size_t Depth(const std::string& path) { return std::count(path.begin(), path.end(), '/'); }

}  // namespace

std::string SandboxFilePath(const spec::SandboxSpec& sandbox, int index) {
  const std::filesystem::path path(sandbox.files(index).container_path());
  return fmt::format("{}/files/{}-{}", sandbox.state_directory(), index, path.filename().string());
}

bool IsAtOrBelow(std::string_view path, std::string_view folder) {
  return path.substr(0, folder.size()) == folder &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

Result<std::string> NormalContainerPath(const std::string& path, const std::string& field) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "{} \"{}\": an absolute path is needed", field, path);
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

Result<std::vector<PlannedMount>> PlanMounts(const PlanInput& input) {
  if (static_cast<size_t>(input.container.mounts_size()) > kMaximumMounts)
    return Fail(ErrorCode::kInvalidArgument, "mounts: {} are more than {}",
                input.container.mounts_size(), kMaximumMounts);
  std::vector<PlannedMount> requested;
  for (int i = 0; i < input.container.mounts_size(); ++i) {
    ASSIGN_OR_RETURN(
        auto mount, RequestedMount(input.container.mounts(i), input, fmt::format("mounts[{}]", i)));
    requested.push_back(std::move(mount));
  }
  std::vector<PlannedMount> mounts = OwnMounts(input);
  RETURN_IF_ERROR(AddSandboxFiles(input, mounts));
  // A request for the same path, or for a folder above it, takes the place of ours.
  std::erase_if(mounts, [&](const PlannedMount& own) {
    return std::any_of(requested.begin(), requested.end(), [&](const PlannedMount& mount) {
      return IsAtOrBelow(own.target, mount.target);
    });
  });
  std::move(requested.begin(), requested.end(), std::back_inserter(mounts));
  AddLabels(input, mounts);
  std::stable_sort(mounts.begin(), mounts.end(), [](const auto& left, const auto& right) {
    return Depth(left.target) < Depth(right.target);
  });
  return mounts;
}

}  // namespace catamaran
