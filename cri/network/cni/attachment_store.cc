#include "cri/network/cni/attachment_store.h"

namespace catamaran {
namespace {
constexpr uint32_t kFormatVersion = 1;
}

Result<AttachmentStore> AttachmentStore::Open(const HostPath& folder) {
  ASSIGN_OR_RETURN(auto opened, RecordFolder::Open(folder));
  return AttachmentStore(std::move(opened));
}

Result<std::vector<network::CniAttachment>> AttachmentStore::Load() const {
  ASSIGN_OR_RETURN(const auto stored, folder_.Load());
  std::vector<network::CniAttachment> attachments;
  for (const auto& [pod, content] : stored) {
    network::CniAttachment attachment;
    if (!attachment.ParseFromString(content) || attachment.format_version() == 0 ||
        attachment.pod_id() != pod) {
      attachment.Clear();
      attachment.set_pod_id(pod);
    }
    if (attachment.format_version() > kFormatVersion)
      return Fail(ErrorCode::kFailedPrecondition,
                  "{} was written by a newer version (format {}, this one knows {})",
                  folder_.PathOf(pod).string(), attachment.format_version(), kFormatVersion);
    attachments.push_back(std::move(attachment));
  }
  return attachments;
}

Status AttachmentStore::Save(const network::CniAttachment& attachment) const {
  network::CniAttachment versioned = attachment;
  versioned.set_format_version(kFormatVersion);
  return folder_.Save(attachment.pod_id(), versioned.SerializeAsString());
}

}  // namespace catamaran
