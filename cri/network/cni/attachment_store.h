#pragma once

#include <vector>

#include "cri/network/cni/attachment.pb.h"
#include "cri/network/record_folder.h"

namespace catamaran {

// Attachments on disk. A record that cannot be read is still an address that somebody holds: it is
// loaded with its pod's name alone, so that it can be given back.
class AttachmentStore {
 public:
  static Result<AttachmentStore> Open(const HostPath& folder);

  // kFailedPrecondition for one that a newer version of the program wrote.
  Result<std::vector<network::CniAttachment>> Load() const;
  Status Save(const network::CniAttachment& attachment) const;
  Status Remove(const std::string& pod) const { return folder_.Remove(pod); }

  Result<std::string> LoadPodCidr() const { return folder_.LoadPodCidr(); }
  Status SavePodCidr(const std::string& cidr) const { return folder_.SavePodCidr(cidr); }

 private:
  explicit AttachmentStore(RecordFolder folder) : folder_(std::move(folder)) {}
  RecordFolder folder_;
};

}  // namespace catamaran
