#include "cri/pods/record_store.h"

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr mode_t kRecordMode = 0600;
constexpr std::string_view kHalfWritten = ".new";  // ReplaceFile's, left by a crash

template <typename Record>
Status SaveRecord(const HostPath& path, const Record& record) {
  return ReplaceFile(path.value(), record.SerializeAsString(), kRecordMode,
                     Durability::kProcessCrash);
}

template <typename Record>
Result<Record> ReadRecord(const HostPath& path) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path.value()));
  Record record;
  if (!record.ParseFromString(bytes))
    return Fail(ErrorCode::kDataLoss, "{} is damaged", path.string());
  if (record.format_version() == 0 || record.format_version() > RecordStore::kFormatVersion)
    return Fail(ErrorCode::kFailedPrecondition, "{} has format version {}", path.string(),
                record.format_version());
  return record;
}

}  // namespace

Status RecordStore::Save(const record::PodRecord& record) const {
  const PodId pod(record.pod_id());
  RETURN_IF_ERROR(MakeDirectories((PodFolder(pod) / "containers").value(), 0700));
  return SaveRecord(RecordPath(pod), record);
}

Status RecordStore::Save(const record::ContainerRecord& record) const {
  return SaveRecord(ContainerPathOf(PodId(record.pod_id()), record.container_id()), record);
}

Status RecordStore::RemoveContainer(const PodId& pod, const ContainerId& container) const {
  RETURN_IF_ERROR(RemoveIfExists(ContainerPathOf(pod, container.value()).value()));
  AbortStep();
  return {};
}

Status RecordStore::RemovePod(const PodId& pod) const {
  const HostPath folder = PodFolder(pod);
  if (!Exists(folder.value())) return {};
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder.value()));
  for (const auto& name : names) {
    if (name == "record") continue;
    RETURN_IF_ERROR(RemoveTree((folder / name).value()));
    AbortStep();
  }
  RETURN_IF_ERROR(RemoveTree(folder.value()));
  AbortStep();
  return {};
}

Result<RecordStore::Stored> RecordStore::LoadAll() const {
  Stored stored;
  if (!Exists(pods_.value())) return stored;
  ASSIGN_OR_RETURN(const auto folders, ListDirectory(pods_.value()));
  for (const auto& folder : folders) {
    const PodId pod(folder);
    auto record = ReadRecord<record::PodRecord>(RecordPath(pod));
    if (!record || record->pod_id() != folder) {
      const bool there = Exists(RecordPath(pod).value());
      (there ? stored.unreadable : stored.without_record).push_back(folder);
      continue;
    }
    StoredPod& entry = stored.pods.emplace_back();
    entry.pod = std::move(*record);
    auto containers = ListDirectory((PodFolder(pod) / "containers").value());
    if (!containers) continue;
    for (const auto& name : *containers) {
      if (name.ends_with(kHalfWritten)) {
        RETURN_IF_ERROR(RemoveIfExists(ContainerPathOf(pod, name).value()));
        continue;
      }
      // A container whose record cannot be read was never one that the caller knows whole: the
      // reconciliation with the shim removes what no record owns.
      auto container = ReadRecord<record::ContainerRecord>(ContainerPathOf(pod, name));
      if (container && container->container_id() == name)
        entry.containers.push_back(std::move(*container));
    }
  }
  return stored;
}

}  // namespace catamaran
