#pragma once

#include <map>
#include <string>
#include <vector>

#include "cri/cdi/cdi_spec.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The devices that this host's CDI files describe, as they are at the moment of Read: a value. A
// file that is wrong is left out, and told where one of its kind is asked for. Of a device in
// several files the one in the later folder counts; in two files of one folder it is a conflict,
// and unusable.
class CdiRegistry {
 public:
  // Folders in ascending priority; one that is missing is empty.
  static CdiRegistry Read(const std::vector<HostPath>& folders);

  // What these devices need, each file's own edits first and once. kNotFound names the device that
  // is not there, kFailedPrecondition the one that is in conflict.
  Result<std::vector<CdiEdits>> Find(const std::vector<std::string>& names) const;

 private:
  struct Entry {
    size_t spec = 0;    // index of specs_
    size_t device = 0;  // of its devices
    size_t folder = 0;
    std::string conflict;  // "a.json and b.json"; empty: none
  };
  void AddFile(const std::string& path, size_t folder);

  std::vector<CdiSpec> specs_;
  std::vector<std::string> files_;        // of specs_, by index
  std::map<std::string, Entry> devices_;  // by qualified name
  std::vector<std::string> failures_;     // of files that were left out
};

}  // namespace catamaran
