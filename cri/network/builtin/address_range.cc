#include "cri/network/builtin/address_range.h"

#include <sys/socket.h>

#include <algorithm>

#include "sandbox/kernel/netlink_message.h"

namespace catamaran {
namespace {

// Five hexadecimal digits: slots are part of interface names.
constexpr uint32_t kHighestSlot = 0xfffff;

bool HasBitsBehind(const std::string& bytes, unsigned length) {
  for (unsigned bit = length; bit < bytes.size() * 8; ++bit)
    if ((static_cast<unsigned char>(bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0) return true;
  return false;
}

}  // namespace

Result<AddressRange> AddressRange::Parse(const std::string& cidr) {
  ASSIGN_OR_RETURN(const auto prefix, ParsePrefix(cidr));
  const unsigned host_bits = static_cast<unsigned>(prefix.bytes.size()) * 8 - prefix.length;
  if (cidr.find('/') == std::string::npos || host_bits < 3)
    return Fail(ErrorCode::kInvalidArgument,
                "address range \"{}\": must be a network with room for pods, such as 10.88.0.0/16",
                cidr);
  if (HasBitsBehind(prefix.bytes, prefix.length))
    return Fail(ErrorCode::kInvalidArgument,
                "address range \"{}\": has bits behind its prefix length", cidr);
  AddressRange range;
  range.bytes_ = prefix.bytes;
  range.length_ = prefix.length;
  // The last address of an IPv4 network is for broadcasts.
  range.last_slot_ =
      host_bits >= 20
          ? kHighestSlot
          : static_cast<uint32_t>((1u << host_bits) - (prefix.family == AF_INET ? 2 : 1));
  return range;
}

Result<std::vector<AddressRange>> AddressRange::ParseList(const std::string& cidrs) {
  std::vector<AddressRange> ranges;
  size_t at = 0;
  while (true) {
    const auto comma = cidrs.find(',', at);
    ASSIGN_OR_RETURN(auto range, Parse(cidrs.substr(at, comma - at)));
    if (std::any_of(ranges.begin(), ranges.end(),
                    [&](const AddressRange& other) { return other.is_v4() == range.is_v4(); }))
      return Fail(ErrorCode::kInvalidArgument,
                  "address ranges \"{}\": must be one of IPv4, one of IPv6, or one of each", cidrs);
    ranges.push_back(std::move(range));
    if (comma == std::string::npos) break;
    at = comma + 1;
  }
  std::stable_sort(ranges.begin(), ranges.end(), [](const AddressRange& a, const AddressRange& b) {
    return a.is_v4() && !b.is_v4();
  });
  return ranges;
}

Result<std::vector<AddressRange>> AddressRange::ParsePair(const std::string& cidr_v4,
                                                          const std::string& cidr_v6) {
  const bool both = !cidr_v4.empty() && !cidr_v6.empty();
  return ParseList(cidr_v4 + (both ? "," : "") + cidr_v6);
}

std::string AddressRange::cidr() const {
  return PrefixText(is_v4() ? AF_INET : AF_INET6, bytes_, length_);
}

std::string AddressRange::Address(uint32_t slot) const {
  std::string bytes = bytes_;
  // Slots fit in the bits behind the prefix: adding never carries into it.
  for (size_t i = 0; i < 4; ++i) {
    auto& byte = bytes[bytes.size() - 1 - i];
    byte = static_cast<char>(static_cast<unsigned char>(byte) | (slot >> (8 * i) & 0xff));
  }
  return AddressText(is_v4() ? AF_INET : AF_INET6, bytes);
}

std::string AddressRange::SingleRoute(uint32_t slot) const {
  return Address(slot) + (is_v4() ? "/32" : "/128");
}

bool AddressRange::Contains(const std::string& address) const {
  const auto prefix = ParsePrefix(address);
  if (!prefix || prefix->bytes.size() != bytes_.size()) return false;
  for (unsigned bit = 0; bit < length_; ++bit)
    if (((prefix->bytes[bit / 8] ^ bytes_[bit / 8]) >> (7 - bit % 8) & 1) != 0) return false;
  return true;
}

}  // namespace catamaran
