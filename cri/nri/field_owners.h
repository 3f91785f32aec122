#pragma once

#include <string>

#include "cri/nri/methods.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Which plugin set which field of which container, in one event: two that set the same one are a
// conflict, since neither knows of the other. Not thread-safe.
class FieldOwners {
 public:
  // kFailedPrecondition naming both plugins and the field where another one set it.
  Status Claim(const std::string& container, nri::Field field, const std::string& plugin);
  // The same for one entry of a list or a map.
  Status Claim(const std::string& container, nri::Field field, const std::string& key,
               const std::string& plugin);
  // Several may set it together: all are remembered.
  void Join(const std::string& container, nri::Field field, const std::string& plugin);
  // A plugin that removes what another one set is free to set it.
  void Release(const std::string& container, nri::Field field);
  void Release(const std::string& container, nri::Field field, const std::string& key);

  const nri::OwningPlugins& all() const { return owners_; }

 private:
  nri::OwningPlugins owners_;
};

}  // namespace catamaran
