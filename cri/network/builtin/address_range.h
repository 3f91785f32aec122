#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// The addresses that pods get: one network, of which the first address is the gateway. Slot n is
// the n-th address. Immutable.
class AddressRange {
 public:
  // "10.88.0.0/16", "fd00:1::/64". kInvalidArgument names what is wrong: bits behind the prefix, or
  // no room for pods.
  static Result<AddressRange> Parse(const std::string& cidr);
  // "10.1.0.0/24" or "10.1.0.0/24,fd00::/64": at most one of each family, IPv4 first in the result.
  static Result<std::vector<AddressRange>> ParseList(const std::string& cidrs);
  // The same of the configuration's two keys, either of which may be empty.
  static Result<std::vector<AddressRange>> ParsePair(const std::string& cidr_v4,
                                                     const std::string& cidr_v6);

  bool is_v4() const { return bytes_.size() == 4; }
  std::string cidr() const;
  std::string gateway() const { return Address(1); }
  std::string Address(uint32_t slot) const;      // without prefix length
  std::string SingleRoute(uint32_t slot) const;  // "10.88.0.2/32"
  bool Contains(const std::string& address) const;

  static constexpr uint32_t kFirstSlot = 2;
  uint32_t last_slot() const { return last_slot_; }

 private:
  std::string bytes_;  // of the network address
  uint8_t length_ = 0;
  uint32_t last_slot_ = 0;
};

}  // namespace catamaran
