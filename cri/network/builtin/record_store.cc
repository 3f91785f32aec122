#include "cri/network/builtin/record_store.h"

namespace catamaran {
namespace {
constexpr uint32_t kFormatVersion = 1;
}

Result<NetworkRecordStore> NetworkRecordStore::Open(const HostPath& folder) {
  ASSIGN_OR_RETURN(auto opened, RecordFolder::Open(folder));
  return NetworkRecordStore(std::move(opened));
}

Result<std::vector<network::NetworkRecord>> NetworkRecordStore::Load() const {
  ASSIGN_OR_RETURN(const auto stored, folder_.Load());
  std::vector<network::NetworkRecord> records;
  for (const auto& [pod, content] : stored) {
    network::NetworkRecord record;
    if (!record.ParseFromString(content) || record.format_version() == 0 ||
        record.pod_id() != pod) {
      RETURN_IF_ERROR(folder_.Remove(pod));
      continue;
    }
    if (record.format_version() > kFormatVersion)
      return Fail(ErrorCode::kFailedPrecondition,
                  "{} was written by a newer version (format {}, this one knows {})",
                  folder_.PathOf(pod).string(), record.format_version(), kFormatVersion);
    records.push_back(std::move(record));
  }
  return records;
}

Status NetworkRecordStore::Save(const network::NetworkRecord& record) const {
  network::NetworkRecord versioned = record;
  versioned.set_format_version(kFormatVersion);
  return folder_.Save(record.pod_id(), versioned.SerializeAsString());
}

}  // namespace catamaran
