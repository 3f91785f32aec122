#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// A folder with one record for each pod, "<pod>.record", on disk: what a network gave, from before
// it gave it until it was taken back. Callers see to it that one record is not written twice at
// once.
class RecordFolder {
 public:
  struct Record {
    std::string pod, content;
  };

  // Makes the folder. Files of interrupted writes are removed.
  static Result<RecordFolder> Open(const HostPath& folder);

  Result<std::vector<Record>> Load() const;
  Status Save(const std::string& pod, std::string_view content) const;  // survives a power cut
  Status Remove(const std::string& pod) const;                          // absent is fine

  // The pod CIDR that was set last; empty where none was.
  Result<std::string> LoadPodCidr() const;
  Status SavePodCidr(const std::string& cidr) const;

  HostPath PathOf(const std::string& pod) const;

 private:
  explicit RecordFolder(HostPath folder) : folder_(std::move(folder)) {}
  HostPath folder_;
};

}  // namespace catamaran
