#include "cri/nri/describe.h"

#include <algorithm>

#include "cri/nri/plugin_answers.h"
#include "sandbox/protocol/error_wire.h"

namespace catamaran {
namespace {

std::string_view KeyOfVariable(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

nri::Mount DescribeMount(const spec::Mount& mount) {
  nri::Mount out;
  out.set_destination(mount.container_path());
  if (mount.has_tmpfs()) {
    out.set_type("tmpfs");
    out.set_source("tmpfs");
  } else {
    out.set_type(mount.has_image() ? "image" : "bind");
    out.set_source(mount.host_path());
    out.add_options("rbind");
    static constexpr const char* kPropagations[] = {"rprivate", "rslave", "rshared"};
    out.add_options(kPropagations[std::clamp<int>(mount.propagation(), 0, 2)]);
  }
  out.add_options(mount.recursive_readonly() ? "rro" : mount.readonly() ? "ro" : "rw");
  out.mutable_options()->MergeFrom(mount.options());
  return out;
}

void AddNamespace(const char* type, const std::string& path, spec::NamespaceMode mode,
                  google::protobuf::RepeatedPtrField<nri::LinuxNamespace>* out) {
  if (mode == spec::NODE) return;
  nri::LinuxNamespace* added = out->Add();
  added->set_type(type);
  added->set_path(path);
}

void DescribeNamespaces(const spec::SandboxSpec& sandbox, spec::NamespaceMode pid,
                        google::protobuf::RepeatedPtrField<nri::LinuxNamespace>* out) {
  AddNamespace("pid", "", pid, out);
  AddNamespace("ipc", "", sandbox.ipc(), out);
  AddNamespace("uts", "", sandbox.network(), out);
  AddNamespace("mount", "", spec::CONTAINER, out);
  AddNamespace("network", sandbox.network_namespace(), sandbox.network(), out);
  if (sandbox.has_user_namespace()) AddNamespace("user", "", spec::POD, out);
}

void DescribeConfinement(const spec::ContainerSpec& container, nri::LinuxContainer* out) {
  for (const spec::Device& device : container.devices()) {
    out->add_devices()->set_path(device.container_path());
  }
  if (container.process().has_oom_score_adj())
    out->mutable_oom_score_adj()->set_value(container.process().oom_score_adj());
  switch (container.process().seccomp().kind()) {
    case spec::SeccompProfile::RUNTIME_DEFAULT:
      out->mutable_seccomp_profile()->set_profile_type(nri::SecurityProfile::RUNTIME_DEFAULT);
      break;
    case spec::SeccompProfile::LOCALHOST:
      out->mutable_seccomp_profile()->set_profile_type(nri::SecurityProfile::LOCALHOST);
      break;
    default:
      out->mutable_seccomp_profile()->set_profile_type(nri::SecurityProfile::UNCONFINED);
  }
}

template <typename Value>
void ApplyMap(const google::protobuf::Map<std::string, Value>& wanted,
              google::protobuf::Map<std::string, Value>* out) {
  for (const auto& [key, value] : wanted)
    if (MarksRemoval(key)) out->erase(RemovedKey(key));
  for (const auto& [key, value] : wanted)
    if (!MarksRemoval(key)) (*out)[key] = value;
}

// Entries with the same key give way to those that are wanted.
template <typename Entry, typename Key>
void ApplyList(const google::protobuf::RepeatedPtrField<Entry>& wanted, Key key_of,
               google::protobuf::RepeatedPtrField<Entry>* out) {
  const auto drop = [&](const std::string& key) {
    out->erase(std::remove_if(out->begin(), out->end(),
                              [&](const Entry& entry) { return key_of(entry) == key; }),
               out->end());
  };
  for (const Entry& entry : wanted) drop(AffectedKey(key_of(entry)));
  for (const Entry& entry : wanted)
    if (!MarksRemoval(key_of(entry))) *out->Add() = entry;
}

void ApplyEnv(const nri::ContainerAdjustment& adjustment, nri::Container* out) {
  for (const nri::KeyValue& variable : adjustment.env()) {
    const std::string key = AffectedKey(variable.key());
    auto* env = out->mutable_env();
    env->erase(
        std::remove_if(env->begin(), env->end(),
                       [&](const std::string& entry) { return KeyOfVariable(entry) == key; }),
        env->end());
  }
  for (const nri::KeyValue& variable : adjustment.env())
    if (!MarksRemoval(variable.key()))
      out->add_env(ValidUtf8(variable.key() + "=" + variable.value()));
}

void ApplyLinux(const nri::LinuxContainerAdjustment& wanted, nri::LinuxContainer* out) {
  ApplyList(
      wanted.devices(), [](const nri::LinuxDevice& device) { return device.path(); },
      out->mutable_devices());
  nri::LinuxResources resources = wanted.resources();
  ApplyMap(resources.unified(), out->mutable_resources()->mutable_unified());
  resources.clear_unified();
  ApplyList(
      resources.hugepage_limits(),
      [](const nri::HugepageLimit& limit) { return limit.page_size(); },
      out->mutable_resources()->mutable_hugepage_limits());
  resources.clear_hugepage_limits();
  out->mutable_resources()->MergeFrom(resources);
  if (wanted.has_oom_score_adj()) *out->mutable_oom_score_adj() = wanted.oom_score_adj();
  if (wanted.has_io_priority()) *out->mutable_io_priority() = wanted.io_priority();
  if (wanted.has_seccomp_policy()) *out->mutable_seccomp_policy() = wanted.seccomp_policy();
  if (wanted.has_scheduler()) *out->mutable_scheduler() = wanted.scheduler();
  if (!wanted.cgroups_path().empty()) out->set_cgroups_path(wanted.cgroups_path());
  ApplyMap(wanted.sysctl(), out->mutable_sysctl());
  ApplyMap(wanted.net_devices(), out->mutable_net_devices());
}

}  // namespace

nri::LinuxResources DescribeResources(const runtime::v1::LinuxContainerResources& resources) {
  nri::LinuxResources out;
  const auto set = [](auto value, auto* optional) { optional->set_value(value); };
  if (resources.memory_limit_in_bytes() != 0)
    set(resources.memory_limit_in_bytes(), out.mutable_memory()->mutable_limit());
  if (resources.memory_swap_limit_in_bytes() != 0)
    set(resources.memory_swap_limit_in_bytes(), out.mutable_memory()->mutable_swap());
  if (resources.cpu_shares() != 0)
    set(static_cast<uint64_t>(resources.cpu_shares()), out.mutable_cpu()->mutable_shares());
  if (resources.cpu_quota() != 0) set(resources.cpu_quota(), out.mutable_cpu()->mutable_quota());
  if (resources.cpu_period() != 0)
    set(static_cast<uint64_t>(resources.cpu_period()), out.mutable_cpu()->mutable_period());
  if (!resources.cpuset_cpus().empty()) out.mutable_cpu()->set_cpus(resources.cpuset_cpus());
  if (!resources.cpuset_mems().empty()) out.mutable_cpu()->set_mems(resources.cpuset_mems());
  for (const auto& limit : resources.hugepage_limits()) {
    nri::HugepageLimit* added = out.add_hugepage_limits();
    added->set_page_size(limit.page_size());
    added->set_limit(limit.limit());
  }
  *out.mutable_unified() = resources.unified();
  return out;
}

nri::Container DescribeContainer(const spec::ContainerSpec& container,
                                 const spec::SandboxSpec& sandbox) {
  nri::Container out;
  const spec::ProcessSpec& process = container.process();
  for (const std::string& argument : process.args()) out.add_args(ValidUtf8(argument));
  for (const std::string& variable : process.env()) out.add_env(ValidUtf8(variable));
  for (const spec::Mount& mount : container.mounts()) *out.add_mounts() = DescribeMount(mount);
  for (const spec::Rlimit& limit : process.rlimits()) {
    nri::POSIXRlimit* added = out.add_rlimits();
    added->set_type(limit.name());
    added->set_hard(limit.hard());
    added->set_soft(limit.soft());
  }
  DescribeConfinement(container, out.mutable_linux());
  DescribeNamespaces(sandbox, container.pid(), out.mutable_linux()->mutable_namespaces());
  out.mutable_linux()->set_cgroups_path(sandbox.cgroup_path() + "/" + container.container_id());
  *out.mutable_linux()->mutable_sysctl() = sandbox.sysctls();
  if (container.resources().pids_limit() != 0)
    out.mutable_linux()->mutable_resources()->mutable_pids()->set_limit(
        container.resources().pids_limit());
  return out;
}

nri::Container DescribeAdjusted(const nri::Container& container,
                                const nri::ContainerAdjustment& adjustment) {
  nri::Container out = container;
  ApplyMap(adjustment.annotations(), out.mutable_annotations());
  ApplyList(
      adjustment.mounts(), [](const nri::Mount& mount) { return mount.destination(); },
      out.mutable_mounts());
  ApplyEnv(adjustment, &out);
  if (!adjustment.args().empty()) *out.mutable_args() = adjustment.args();
  if (adjustment.has_hooks()) out.mutable_hooks()->MergeFrom(adjustment.hooks());
  ApplyList(
      adjustment.rlimits(), [](const nri::POSIXRlimit& limit) { return limit.type(); },
      out.mutable_rlimits());
  out.mutable_cdi_devices()->MergeFrom(adjustment.cdi_devices());
  if (adjustment.has_linux()) ApplyLinux(adjustment.linux(), out.mutable_linux());
  return out;
}

nri::LinuxPodSandbox DescribePod(const spec::SandboxSpec& sandbox,
                                 const runtime::v1::PodSandboxConfig& config) {
  nri::LinuxPodSandbox out;
  if (config.linux().has_overhead())
    *out.mutable_pod_overhead() = DescribeResources(config.linux().overhead());
  if (config.linux().has_resources())
    *out.mutable_pod_resources() = DescribeResources(config.linux().resources());
  out.set_cgroup_parent(config.linux().cgroup_parent());
  out.set_cgroups_path(sandbox.cgroup_path());
  DescribeNamespaces(sandbox, sandbox.pid(), out.mutable_namespaces());
  return out;
}

}  // namespace catamaran
