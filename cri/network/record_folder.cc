#include "cri/network/record_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestRecord = 16 << 20;
constexpr std::string_view kSuffix = ".record";
constexpr char kPodCidrFile[] = "pod_cidr";

}  // namespace

Result<RecordFolder> RecordFolder::Open(const HostPath& folder) {
  RETURN_IF_ERROR(MakeDirectories(folder.value(), 0700));
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder.value()));
  for (const auto& name : names)
    if (name.ends_with(".new")) RETURN_IF_ERROR(RemoveIfExists(folder.value() / name));
  return RecordFolder(folder);
}

HostPath RecordFolder::PathOf(const std::string& pod) const {
  return folder_ / (pod + std::string(kSuffix));
}

Result<std::vector<RecordFolder::Record>> RecordFolder::Load() const {
  ASSIGN_OR_RETURN(const auto names, ListDirectory(folder_.value()));
  std::vector<Record> records;
  for (const auto& name : names) {
    if (!name.ends_with(kSuffix)) continue;
    ASSIGN_OR_RETURN(auto content, ReadFile(folder_.value() / name, kLargestRecord));
    records.push_back({name.substr(0, name.size() - kSuffix.size()), std::move(content)});
  }
  return records;
}

Status RecordFolder::Save(const std::string& pod, std::string_view content) const {
  return ReplaceFile(PathOf(pod).value(), content, 0600, Durability::kPowerCut);
}

Status RecordFolder::Remove(const std::string& pod) const {
  const auto path = PathOf(pod);
  if (!Exists(path.value())) return {};
  RETURN_IF_ERROR(RemoveIfExists(path.value()));
  AbortStep();
  ASSIGN_OR_RETURN(const auto folder, OpenFile(folder_.value(), O_RDONLY | O_DIRECTORY));
  if (fsync(folder.get()) != 0) return FailWithErrno("fsync {}", folder_.string());
  return {};
}

Result<std::string> RecordFolder::LoadPodCidr() const {
  auto content = ReadFile(folder_.value() / kPodCidrFile, 4096);
  if (!content && content.error().code == ErrorCode::kNotFound) return std::string();
  return content;
}

Status RecordFolder::SavePodCidr(const std::string& cidr) const {
  return ReplaceFile(folder_.value() / kPodCidrFile, cidr, 0600, Durability::kPowerCut);
}

}  // namespace catamaran
