#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <limits>

#include "cri/nri/apply_adjustment.h"
#include "cri/nri/plugin_answers.h"
#include "cri/translate/fields.h"
#include "cri/translate/translate.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace v1 = ::runtime::v1;

// ---- Mounts ----

// Options of mount(8) that say the same as a field of the CRI's Mount.
bool ReadOption(const std::string& option, v1::Mount* out) {
  if (option == "bind" || option == "rbind" || option == "rw") return true;
  if (option == "ro") {
    out->set_readonly(true);
  } else if (option == "rro") {
    out->set_readonly(true);
    out->set_recursive_read_only(true);
  } else if (option == "private" || option == "rprivate") {
    out->set_propagation(v1::PROPAGATION_PRIVATE);
  } else if (option == "slave" || option == "rslave") {
    out->set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  } else if (option == "shared" || option == "rshared") {
    out->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  } else {
    return false;
  }
  return true;
}

Result<v1::Mount> BindMount(const nri::Mount& mount, const std::string& field) {
  v1::Mount out;
  out.set_container_path(mount.destination());
  out.set_host_path(mount.source());
  for (const std::string& option : mount.options()) {
    if (ReadOption(option, &out)) continue;
    if (option != "noexec" && option != "nodev" && option != "nosuid")
      return UnsupportedField(field + ".options", "\"" + Printable(option) + "\" is not supported");
    out.add_mount_options(option);
  }
  return out;
}

bool IsBind(const nri::Mount& mount) {
  const auto& options = mount.options();
  return mount.type() == "bind" || std::any_of(options.begin(), options.end(), [](const auto& o) {
           return o == "bind" || o == "rbind";
         });
}

template <typename List, typename Predicate>
void EraseIf(List* list, Predicate predicate) {
  list->erase(std::remove_if(list->begin(), list->end(), predicate), list->end());
}

// A mount at the same place gives way, also where a tmpfs comes instead (AdjustSpec).
Status AdjustMounts(const nri::ContainerAdjustment& adjustment, v1::ContainerConfig* config) {
  for (const nri::Mount& mount : adjustment.mounts()) {
    const std::string path = AffectedKey(mount.destination());
    EraseIf(config->mutable_mounts(),
            [&](const v1::Mount& had) { return had.container_path() == path; });
  }
  for (int i = 0; i < adjustment.mounts_size(); ++i) {
    const nri::Mount& mount = adjustment.mounts(i);
    if (MarksRemoval(mount.destination()) || mount.type() == "tmpfs") continue;
    const std::string field = fmt::format("mounts[{}]", i);
    if (!IsBind(mount))
      return UnsupportedField(field + ".type", "only bind mounts and tmpfs can be added, not \"" +
                                                   Printable(mount.type()) + "\"");
    ASSIGN_OR_RETURN(*config->add_mounts(), BindMount(mount, field));
  }
  return {};
}

// ---- Devices ----

bool IsNode(const std::string& path, mode_t type, dev_t number) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && (info.st_mode & S_IFMT) == type &&
         info.st_rdev == number;
}

// The node of this machine that has these numbers: the same path, or the one the kernel names.
Result<std::string> FindNode(const nri::LinuxDevice& device, const std::string& field) {
  if (device.type() != "c" && device.type() != "u" && device.type() != "b")
    return WrongField(field + ".type", device.type(), "c or b");
  const mode_t type = device.type() == "b" ? S_IFBLK : S_IFCHR;
  const dev_t number =
      makedev(static_cast<unsigned>(device.major()), static_cast<unsigned>(device.minor()));
  if (IsNode(device.path(), type, number)) return device.path();
  const std::string numbers = fmt::format("{}:{}", device.major(), device.minor());
  const std::string facts =
      ReadFile(fmt::format("/sys/dev/{}/{}/uevent", type == S_IFBLK ? "block" : "char", numbers),
               4096)
          .value_or("");
  const size_t name = facts.find("DEVNAME=");
  if (name != std::string::npos) {
    const std::string path = "/dev/" + facts.substr(name + 8, facts.find('\n', name) - name - 8);
    if (IsNode(path, type, number)) return path;
  }
  return WrongField(field, numbers, "the numbers of a device that this machine has a node of");
}

Status AdjustDevices(const nri::LinuxContainerAdjustment& linux, v1::ContainerConfig* config) {
  for (const nri::LinuxDevice& device : linux.devices()) {
    const std::string path = AffectedKey(device.path());
    EraseIf(config->mutable_devices(), [&](const v1::Device& had) {
      return (had.container_path().empty() ? had.host_path() : had.container_path()) == path;
    });
  }
  for (int i = 0; i < linux.devices_size(); ++i) {
    const nri::LinuxDevice& device = linux.devices(i);
    if (MarksRemoval(device.path())) continue;
    const std::string field = fmt::format("linux.devices[{}]", i);
    if (device.has_file_mode() || device.has_uid() || device.has_gid())
      return UnsupportedField(field + ".file_mode",
                              "a device has the mode and the owner of this machine's node");
    ASSIGN_OR_RETURN(const std::string host_path, FindNode(device, field));
    v1::Device* added = config->add_devices();
    added->set_host_path(host_path);
    added->set_container_path(device.path());
  }
  return {};
}

// ---- Resources ----

Status RefuseResources(const nri::LinuxResources& in, const std::string& field) {
  const auto refuse = [&](const char* name, const char* why) {
    return UnsupportedField(field + "." + name, why);
  };
  const nri::LinuxMemory& memory = in.memory();
  if (memory.has_kernel()) return refuse("memory.kernel", "kernels no longer have this limit");
  if (memory.has_kernel_tcp()) return refuse("memory.kernel_tcp", "cgroup v2 has no such limit");
  if (memory.has_swappiness()) return refuse("memory.swappiness", "cgroup v2 has no such value");
  if (memory.disable_oom_killer().value())
    return refuse("memory.disable_oom_killer", "cgroup v2 always has the OOM killer");
  if (memory.has_use_hierarchy() && !memory.use_hierarchy().value())
    return refuse("memory.use_hierarchy", "memory is always counted by hierarchy");
  if (in.cpu().has_realtime_runtime() || in.cpu().has_realtime_period())
    return refuse("cpu.realtime_runtime", "groups are given no realtime budget");
  if (in.has_blockio_class()) return refuse("blockio_class", "no block I/O classes are configured");
  if (in.has_rdt_class()) return refuse("rdt_class", "no RDT classes are configured");
  if (!in.devices().empty())
    return refuse("devices", "what a container may open follows from its devices");
  return {};
}

Result<int64_t> Signed(uint64_t value, const std::string& field) {
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return WrongField(field, std::to_string(value), "at most 9223372036854775807");
  return static_cast<int64_t>(value);
}

}  // namespace

Result<NriResourceUpdate> ReadNriResources(const nri::LinuxResources& in,
                                           const std::string& field) {
  RETURN_IF_ERROR(RefuseResources(in, field));
  NriResourceUpdate update;
  v1::LinuxContainerResources& out = update.resources;
  out.set_memory_limit_in_bytes(in.memory().limit().value());
  out.set_memory_swap_limit_in_bytes(in.memory().swap().value());
  ASSIGN_OR_RETURN(const int64_t shares, Signed(in.cpu().shares().value(), field + ".cpu.shares"));
  ASSIGN_OR_RETURN(const int64_t period, Signed(in.cpu().period().value(), field + ".cpu.period"));
  out.set_cpu_shares(shares);
  out.set_cpu_period(period);
  out.set_cpu_quota(in.cpu().quota().value());
  out.set_cpuset_cpus(in.cpu().cpus());
  out.set_cpuset_mems(in.cpu().mems());
  for (const nri::HugepageLimit& limit : in.hugepage_limits()) {
    auto* added = out.add_hugepage_limits();
    added->set_page_size(limit.page_size());
    added->set_limit(limit.limit());
  }
  *out.mutable_unified() = in.unified();
  // What OCI runtimes make of it, where cgroups are v2.
  if (in.memory().has_reservation() &&
      !out.mutable_unified()
           ->insert({"memory.low", std::to_string(in.memory().reservation().value())})
           .second) {
    return WrongField(field + ".memory.reservation", in.memory().reservation().value(),
                      "absent where unified has memory.low");
  }
  update.pids_limit = in.pids().limit();
  if (in.has_pids() && update.pids_limit < 1 && update.pids_limit != -1)
    return WrongField(field + ".pids.limit", update.pids_limit, "-1 or at least 1");
  return update;
}

Status AdjustRequest(const nri::ContainerAdjustment& adjustment, v1::ContainerConfig* config) {
  RETURN_IF_ERROR(AdjustMounts(adjustment, config));
  RETURN_IF_ERROR(AdjustDevices(adjustment.linux(), config));
  for (const nri::CDIDevice& device : adjustment.cdi_devices())
    config->add_cdi_devices()->set_name(device.name());
  ASSIGN_OR_RETURN(const NriResourceUpdate update,
                   ReadNriResources(adjustment.linux().resources(), "linux.resources"));
  v1::LinuxContainerResources* resources = config->mutable_linux()->mutable_resources();
  MergeResources(update.resources, resources);
  if (adjustment.linux().has_oom_score_adj())
    resources->set_oom_score_adj(adjustment.linux().oom_score_adj().value());
  return {};
}

}  // namespace catamaran
