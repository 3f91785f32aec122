#pragma once

#include <string>
#include <vector>

#include "cri/network/network_record.pb.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The records of the built-in network: one file for each pod, fsynced before anything it names is
// made and removed after everything it names is gone. Callers see to it that one pod's record is
// not written twice at once.
class NetworkRecordStore {
 public:
  // Makes the folder. Files of interrupted writes and files that are no records are removed.
  static Result<NetworkRecordStore> Open(const HostPath& folder);

  // kFailedPrecondition for one that a newer version of the program wrote.
  Result<std::vector<network::NetworkRecord>> Load() const;
  Status Save(const network::NetworkRecord& record) const;
  Status Remove(const std::string& pod_id) const;  // absent is fine

  // The pod CIDR that was set last; empty where none was.
  Result<std::string> LoadPodCidr() const;
  Status SavePodCidr(const std::string& cidr) const;

 private:
  explicit NetworkRecordStore(HostPath folder) : folder_(std::move(folder)) {}
  HostPath folder_;
};

}  // namespace catamaran
