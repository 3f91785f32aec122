#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cri/network/cni/cni_version.h"
#include "sandbox/base/result.h"

namespace catamaran {

// What an ADD gave, of any version of the specification: what this program uses of it.
struct CniResult {
  struct Interface {
    std::string name, mac, sandbox;  // sandbox: the namespace's path; empty: the machine's
  };
  struct Address {
    std::string cidr;     // "10.22.0.5/16"
    std::string gateway;  // may be empty
    std::optional<size_t> interface;
  };
  std::vector<Interface> interfaces;
  std::vector<Address> addresses;

  // Those of the pod's interface of this name, and those that name no interface.
  std::vector<std::string> PodAddresses(const std::string& interface) const;
};

// A result in the words of `version`, which may not be its own (0.3.0 to 1.1.0 differ in one key
// that follows from the others; older ones have no chains). kInvalidArgument naming source and key
// for what no plugin may answer.
Result<CniResult> ParseCniResult(const nlohmann::json& result, const std::string& source);

// The same result as the prevResult of a request of this version.
nlohmann::json ResultForVersion(nlohmann::json result, const CniVersion& version);

}  // namespace catamaran
