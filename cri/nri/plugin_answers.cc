#include "cri/nri/plugin_answers.h"

#include <algorithm>

namespace catamaran {
namespace {

std::string& KeyOf(nri::Mount& mount) { return *mount.mutable_destination(); }
std::string& KeyOf(nri::KeyValue& variable) { return *variable.mutable_key(); }
std::string& KeyOf(nri::LinuxDevice& device) { return *device.mutable_path(); }
std::string& KeyOf(nri::CDIDevice& device) { return *device.mutable_name(); }
std::string& KeyOf(nri::POSIXRlimit& limit) { return *limit.mutable_type(); }
std::string& KeyOf(nri::LinuxNamespace& name) { return *name.mutable_type(); }

// Who adds to a list or a map of entries with keys: removals come first, so that one plugin can
// replace what another one set, then additions, each claimed.
struct Adder {
  FieldOwners& owners;
  const std::string& container;
  const std::string& plugin;

  template <typename Entry>
  Status AddList(nri::Field field, const google::protobuf::RepeatedPtrField<Entry>& wanted,
                 google::protobuf::RepeatedPtrField<Entry>* merged) const {
    for (Entry entry : wanted) {
      const std::string key = KeyOf(entry);
      if (!MarksRemoval(key)) continue;
      Drop(RemovedKey(key), merged);
      Drop(key, merged);
      owners.Release(container, field, RemovedKey(key));
      *merged->Add() = std::move(entry);
    }
    for (Entry entry : wanted) {
      const std::string key = KeyOf(entry);
      if (MarksRemoval(key)) continue;
      RETURN_IF_ERROR(owners.Claim(container, field, key, plugin));
      *merged->Add() = std::move(entry);
    }
    return {};
  }

  template <typename Value>
  Status AddMap(nri::Field field, const google::protobuf::Map<std::string, Value>& wanted,
                google::protobuf::Map<std::string, Value>* merged) const {
    for (const auto& [key, value] : wanted) {
      if (!MarksRemoval(key)) continue;
      merged->erase(RemovedKey(key));
      owners.Release(container, field, RemovedKey(key));
      (*merged)[key] = value;
    }
    for (const auto& [key, value] : wanted) {
      if (MarksRemoval(key)) continue;
      RETURN_IF_ERROR(owners.Claim(container, field, key, plugin));
      (*merged)[key] = value;
    }
    return {};
  }

  // A field as a whole.
  template <typename Message>
  Status Replace(nri::Field field, const Message& wanted, Message* merged) const {
    RETURN_IF_ERROR(owners.Claim(container, field, plugin));
    *merged = wanted;
    return {};
  }

 private:
  template <typename Entry>
  static void Drop(const std::string& key, google::protobuf::RepeatedPtrField<Entry>* list) {
    list->erase(std::remove_if(list->begin(), list->end(),
                               [&](Entry& entry) { return KeyOf(entry) == key; }),
                list->end());
  }
};

// Every field that is there: optional scalars, and strings that are not empty. The members of Field
// for one message follow each other in the order of its fields.
Status MergeOptionals(const google::protobuf::Message& wanted, int before_first,
                      const std::string& container, const std::string& plugin, FieldOwners* owners,
                      google::protobuf::Message* merged) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  wanted.GetReflection()->ListFields(wanted, &fields);
  for (const auto* field : fields) {
    const auto owned = static_cast<nri::Field>(before_first + field->number());
    RETURN_IF_ERROR(owners->Claim(container, owned, plugin));
    if (field->message_type() == nullptr) {
      merged->GetReflection()->SetString(merged, field,
                                         wanted.GetReflection()->GetString(wanted, field));
    } else {
      merged->GetReflection()
          ->MutableMessage(merged, field)
          ->CopyFrom(wanted.GetReflection()->GetMessage(wanted, field));
    }
  }
  return {};
}

}  // namespace

Status MergeNriResources(const nri::LinuxResources& wanted, const std::string& container,
                         const std::string& plugin, FieldOwners* owners,
                         nri::LinuxResources* merged) {
  const Adder adder{*owners, container, plugin};
  RETURN_IF_ERROR(MergeOptionals(wanted.memory(), nri::MemLimit - 1, container, plugin, owners,
                                 merged->mutable_memory()));
  RETURN_IF_ERROR(MergeOptionals(wanted.cpu(), nri::CPUShares - 1, container, plugin, owners,
                                 merged->mutable_cpu()));
  for (const auto& limit : wanted.hugepage_limits()) {
    RETURN_IF_ERROR(owners->Claim(container, nri::HugepageLimits, limit.page_size(), plugin));
    *merged->add_hugepage_limits() = limit;
  }
  RETURN_IF_ERROR(adder.AddMap(nri::CgroupsUnified, wanted.unified(), merged->mutable_unified()));
  if (wanted.has_blockio_class())
    RETURN_IF_ERROR(
        adder.Replace(nri::BlockioClass, wanted.blockio_class(), merged->mutable_blockio_class()));
  if (wanted.has_rdt_class())
    RETURN_IF_ERROR(adder.Replace(nri::RdtClass, wanted.rdt_class(), merged->mutable_rdt_class()));
  if (wanted.has_pids())
    RETURN_IF_ERROR(adder.Replace(nri::PidsLimit, wanted.pids(), merged->mutable_pids()));
  merged->mutable_devices()->MergeFrom(wanted.devices());
  return {};
}

Status PluginAnswers::AddLists(const nri::ContainerAdjustment& wanted, const std::string& plugin) {
  const Adder adder{owners_, container_, plugin};
  RETURN_IF_ERROR(
      adder.AddMap(nri::Annotations, wanted.annotations(), adjustment_.mutable_annotations()));
  RETURN_IF_ERROR(adder.AddList(nri::Mounts, wanted.mounts(), adjustment_.mutable_mounts()));
  RETURN_IF_ERROR(adder.AddList(nri::Env, wanted.env(), adjustment_.mutable_env()));
  RETURN_IF_ERROR(adder.AddList(nri::Rlimits, wanted.rlimits(), adjustment_.mutable_rlimits()));
  return adder.AddList(nri::CdiDevices, wanted.cdi_devices(), adjustment_.mutable_cdi_devices());
}

Status PluginAnswers::AddArgs(const nri::ContainerAdjustment& wanted, const std::string& plugin) {
  if (wanted.args().empty()) return {};
  const bool over_others = wanted.args(0).empty();
  if (over_others) owners_.Release(container_, nri::Args);
  RETURN_IF_ERROR(owners_.Claim(container_, nri::Args, plugin));
  *adjustment_.mutable_args() = wanted.args();
  if (over_others) adjustment_.mutable_args()->DeleteSubrange(0, 1);
  return {};
}

void PluginAnswers::AddHooks(const nri::Hooks& wanted, const std::string& plugin) {
  if (wanted.ByteSizeLong() == 0) return;
  owners_.Join(container_, nri::OciHooks, plugin);
  adjustment_.mutable_hooks()->MergeFrom(wanted);
}

Status PluginAnswers::AddRdt(const nri::LinuxRdt& wanted, const std::string& plugin) {
  nri::LinuxRdt* merged = adjustment_.mutable_linux()->mutable_rdt();
  if (wanted.remove()) {
    for (nri::Field field : {nri::RdtClosID, nri::RdtSchemata, nri::RdtEnableMonitoring})
      owners_.Release(container_, field);
    merged->Clear();
    merged->set_remove(true);
  }
  nri::LinuxRdt fields = wanted;
  fields.clear_remove();
  if (fields.ByteSizeLong() == 0) return {};
  merged->set_remove(false);
  return MergeOptionals(fields, nri::RdtClosID - 1, container_, plugin, &owners_, merged);
}

Status PluginAnswers::AddMaps(const nri::LinuxContainerAdjustment& wanted,
                              const std::string& plugin) {
  const Adder adder{owners_, container_, plugin};
  nri::LinuxContainerAdjustment* merged = adjustment_.mutable_linux();
  RETURN_IF_ERROR(adder.AddList(nri::Devices, wanted.devices(), merged->mutable_devices()));
  RETURN_IF_ERROR(adder.AddList(nri::Namespace, wanted.namespaces(), merged->mutable_namespaces()));
  RETURN_IF_ERROR(adder.AddMap(nri::Sysctl, wanted.sysctl(), merged->mutable_sysctl()));
  return adder.AddMap(nri::LinuxNetDevices, wanted.net_devices(), merged->mutable_net_devices());
}

Status PluginAnswers::AddLinux(const nri::LinuxContainerAdjustment& wanted,
                               const std::string& plugin) {
  const Adder adder{owners_, container_, plugin};
  nri::LinuxContainerAdjustment* merged = adjustment_.mutable_linux();
  RETURN_IF_ERROR(AddMaps(wanted, plugin));
  RETURN_IF_ERROR(MergeNriResources(wanted.resources(), container_, plugin, &owners_,
                                    merged->mutable_resources()));
  if (!wanted.cgroups_path().empty())
    RETURN_IF_ERROR(
        adder.Replace(nri::CgroupsPath, wanted.cgroups_path(), merged->mutable_cgroups_path()));
  if (wanted.has_oom_score_adj())
    RETURN_IF_ERROR(
        adder.Replace(nri::OomScoreAdj, wanted.oom_score_adj(), merged->mutable_oom_score_adj()));
  if (wanted.has_io_priority())
    RETURN_IF_ERROR(
        adder.Replace(nri::IoPriority, wanted.io_priority(), merged->mutable_io_priority()));
  if (wanted.has_seccomp_policy())
    RETURN_IF_ERROR(adder.Replace(nri::SeccompPolicy, wanted.seccomp_policy(),
                                  merged->mutable_seccomp_policy()));
  if (wanted.has_scheduler())
    RETURN_IF_ERROR(
        adder.Replace(nri::LinuxSched, wanted.scheduler(), merged->mutable_scheduler()));
  if (wanted.has_memory_policy())
    RETURN_IF_ERROR(
        adder.Replace(nri::MemoryPolicy, wanted.memory_policy(), merged->mutable_memory_policy()));
  return wanted.has_rdt() ? AddRdt(wanted.rdt(), plugin) : Status();
}

Status PluginAnswers::AddAdjustment(const nri::ContainerAdjustment& wanted,
                                    const std::string& plugin) {
  RETURN_IF_ERROR(AddLists(wanted, plugin));
  RETURN_IF_ERROR(AddArgs(wanted, plugin));
  AddHooks(wanted.hooks(), plugin);
  return wanted.has_linux() ? AddLinux(wanted.linux(), plugin) : Status();
}

Status PluginAnswers::AddUpdate(const nri::ContainerUpdate& wanted, const std::string& plugin) {
  auto found = std::find_if(updates_.begin(), updates_.end(), [&](const auto& update) {
    return update.container_id() == wanted.container_id();
  });
  nri::ContainerUpdate update;
  update.set_container_id(wanted.container_id());
  update.set_ignore_failure(wanted.ignore_failure());
  if (found != updates_.end()) update = *found;
  auto merged = MergeNriResources(wanted.linux().resources(), wanted.container_id(), plugin,
                                  &owners_, update.mutable_linux()->mutable_resources());
  if (!merged) return wanted.ignore_failure() ? Status() : merged;
  update.set_ignore_failure(update.ignore_failure() && wanted.ignore_failure());
  if (found != updates_.end()) {
    *found = std::move(update);
  } else {
    updates_.push_back(std::move(update));
  }
  return {};
}

Status PluginAnswers::Add(const nri::CreateContainerResponse& answer, const std::string& plugin) {
  RETURN_IF_ERROR(AddAdjustment(answer.adjust(), plugin));
  for (const auto& update : answer.update()) {
    if (update.container_id() == container_) {
      return Fail(ErrorCode::kInvalidArgument,
                  "NRI plugin {} asks to update container {} while it is being created", plugin,
                  container_);
    }
    RETURN_IF_ERROR(AddUpdate(update, plugin));
  }
  evictions_.insert(evictions_.end(), answer.evict().begin(), answer.evict().end());
  return {};
}

Status PluginAnswers::Add(const nri::UpdateContainerResponse& answer, const std::string& plugin) {
  for (const auto& update : answer.update()) RETURN_IF_ERROR(AddUpdate(update, plugin));
  evictions_.insert(evictions_.end(), answer.evict().begin(), answer.evict().end());
  return {};
}

}  // namespace catamaran
