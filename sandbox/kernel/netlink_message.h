#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

// Building and reading rtnetlink messages (rtnetlink(7), netlink(7)). Internal to netlink.cc.
namespace catamaran {

// One request: header, a fixed body, attributes.
class NetlinkMessage {
 public:
  template <typename Body>
  NetlinkMessage(uint16_t type, uint16_t flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    Append(&header, sizeof header);
    Append(&body, sizeof body);
  }

  void Add(uint16_t attribute, std::string_view value) {
    const rtattr header{static_cast<uint16_t>(RTA_LENGTH(value.size())), attribute};
    Append(&header, sizeof header);
    Append(value.data(), value.size());
  }
  template <typename Number>
  void AddNumber(uint16_t attribute, Number value) {
    Add(attribute, std::string_view(reinterpret_cast<const char*>(&value), sizeof value));
  }
  void AddText(uint16_t attribute, const std::string& text) {
    Add(attribute, std::string_view(text.c_str(), text.size() + 1));
  }
  // Attributes added until End become part of this one.
  size_t Begin(uint16_t attribute) {
    const size_t start = bytes_.size();
    Add(attribute, {});
    return start;
  }
  template <typename Body>
  size_t BeginWith(uint16_t attribute, const Body& body) {
    const size_t start = Begin(attribute);
    Append(&body, sizeof body);
    return start;
  }
  void End(size_t start) {
    rtattr header;
    memcpy(&header, bytes_.data() + start, sizeof header);
    header.rta_len = static_cast<uint16_t>(bytes_.size() - start);
    memcpy(bytes_.data() + start, &header, sizeof header);
  }

  // The bytes, with length, number and flags in the header.
  std::string Finish(uint32_t sequence, uint16_t more_flags) && {
    nlmsghdr header;
    memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_len = static_cast<uint32_t>(bytes_.size());
    header.nlmsg_seq = sequence;
    header.nlmsg_flags = static_cast<uint16_t>(header.nlmsg_flags | more_flags);
    memcpy(bytes_.data(), &header, sizeof header);
    return std::move(bytes_);
  }

 private:
  void Append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  std::string bytes_;
};

// The payload of one answer.
class NetlinkReader {
 public:
  explicit NetlinkReader(std::string_view bytes) : bytes_(bytes) {}

  // The fixed body; nothing where the answer is too short.
  template <typename Body>
  std::optional<Body> ReadBody() {
    if (bytes_.size() < NLMSG_ALIGN(sizeof(Body))) return std::nullopt;
    Body body;
    memcpy(&body, bytes_.data(), sizeof body);
    bytes_.remove_prefix(NLMSG_ALIGN(sizeof(Body)));
    return body;
  }
  // Calls visit(type, value) for each attribute that follows.
  template <typename Visit>
  void ForEachAttribute(Visit visit) {
    while (bytes_.size() >= sizeof(rtattr)) {
      rtattr header;
      memcpy(&header, bytes_.data(), sizeof header);
      if (header.rta_len < sizeof header || header.rta_len > bytes_.size()) return;
      visit(static_cast<uint16_t>(header.rta_type & NLA_TYPE_MASK),
            bytes_.substr(sizeof header, header.rta_len - sizeof header));
      bytes_.remove_prefix(std::min<size_t>(bytes_.size(), RTA_ALIGN(header.rta_len)));
    }
  }

 private:
  std::string_view bytes_;
};

template <typename Number>
Number ReadNumber(std::string_view value) {
  Number number{};
  memcpy(&number, value.data(), std::min(value.size(), sizeof number));
  return number;
}
inline std::string ReadText(std::string_view value) {
  return std::string(value.substr(0, value.find('\0')));
}

// An address with the length of its prefix, in the form of the wire.
struct NetworkPrefix {
  int family = 0;     // AF_INET or AF_INET6
  std::string bytes;  // 4 or 16
  uint8_t length = 0;
};
// "10.0.0.1" (a full prefix) or "10.0.0.0/8".
Result<NetworkPrefix> ParsePrefix(const std::string& text);
std::string PrefixText(int family, std::string_view bytes, unsigned length);
std::string AddressText(int family, std::string_view bytes);

// "0a:58:0a:58:00:02" to six bytes and back.
Result<std::string> ParseMac(const std::string& text);
std::string MacText(std::string_view bytes);

}  // namespace catamaran
