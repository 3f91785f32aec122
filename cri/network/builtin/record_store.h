#pragma once

#include <string>
#include <vector>

#include "cri/network/builtin/network_record.pb.h"
#include "cri/network/record_folder.h"

namespace catamaran {

// The records of the built-in network: fsynced before anything they name is made and removed after
// everything they name is gone.
class NetworkRecordStore {
 public:
  static Result<NetworkRecordStore> Open(const HostPath& folder);

  // Files that are no records are removed. kFailedPrecondition for one that a newer version of the
  // program wrote.
  Result<std::vector<network::NetworkRecord>> Load() const;
  Status Save(const network::NetworkRecord& record) const;
  Status Remove(const std::string& pod_id) const { return folder_.Remove(pod_id); }

  Result<std::string> LoadPodCidr() const { return folder_.LoadPodCidr(); }
  Status SavePodCidr(const std::string& cidr) const { return folder_.SavePodCidr(cidr); }

 private:
  explicit NetworkRecordStore(RecordFolder folder) : folder_(std::move(folder)) {}
  RecordFolder folder_;
};

}  // namespace catamaran
