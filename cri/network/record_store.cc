#include "cri/network/record_store.h"

#include <fcntl.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr size_t kLargestRecord = 1 << 20;
constexpr std::string_view kSuffix = ".record";
constexpr char kPodCidrFile[] = "pod_cidr";

}  // namespace

Result<NetworkRecordStore> NetworkRecordStore::Open(const HostPath& folder) {
  RETURN_IF_ERROR(MakeDirectories(folder.value(), 0700));
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder.value()));
  for (const auto& name : names)
    if (name.ends_with(".new")) RETURN_IF_ERROR(RemoveIfExists(folder.value() / name));
  return NetworkRecordStore(folder);
}

Result<std::vector<network::NetworkRecord>> NetworkRecordStore::Load() const {
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder_.value()));
  std::vector<network::NetworkRecord> records;
  for (const auto& name : names) {
    if (!name.ends_with(kSuffix)) continue;
    const auto path = folder_.value() / name;
    ASSIGN_OR_RETURN(const auto content, ReadFile(path, kLargestRecord));
    network::NetworkRecord record;
    if (!record.ParseFromString(content) || record.format_version() == 0 ||
        record.pod_id() + std::string(kSuffix) != name) {
      RETURN_IF_ERROR(RemoveIfExists(path));
      continue;
    }
    if (record.format_version() > kFormatVersion)
      return Fail(ErrorCode::kFailedPrecondition,
                  "{} was written by a newer version (format {}, this one knows {})", path.string(),
                  record.format_version(), kFormatVersion);
    records.push_back(std::move(record));
  }
  return records;
}

Status NetworkRecordStore::Save(const network::NetworkRecord& record) const {
  network::NetworkRecord versioned = record;
  versioned.set_format_version(kFormatVersion);
  return ReplaceFile(folder_.value() / (record.pod_id() + std::string(kSuffix)),
                     versioned.SerializeAsString(), 0600, Durability::kPowerCut);
}

Status NetworkRecordStore::Remove(const std::string& pod_id) const {
  const auto path = folder_.value() / (pod_id + std::string(kSuffix));
  if (!Exists(path)) return {};
  RETURN_IF_ERROR(RemoveIfExists(path));
  AbortStep();
  ASSIGN_OR_RETURN(const auto folder, OpenFile(folder_.value(), O_RDONLY | O_DIRECTORY));
  if (fsync(folder.get()) != 0) return FailWithErrno("fsync {}", folder_.string());
  return {};
}

Result<std::string> NetworkRecordStore::LoadPodCidr() const {
  auto content = ReadFile(folder_.value() / kPodCidrFile, 4096);
  if (!content && content.error().code == ErrorCode::kNotFound) return std::string();
  return content;
}

Status NetworkRecordStore::SavePodCidr(const std::string& cidr) const {
  return ReplaceFile(folder_.value() / kPodCidrFile, cidr, 0600, Durability::kPowerCut);
}

}  // namespace catamaran
