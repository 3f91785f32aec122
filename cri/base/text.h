#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace catamaran {

// With A to Z in lower case, whatever the locale; other bytes as they are.
std::string ToLower(std::string_view text);

// Without any of these characters at either end.
std::string_view Trim(std::string_view text, std::string_view characters);

// Whether there are bytes below ' ', or DEL.
bool HasControlCharacters(std::string_view text);

// Words of strangers fit for one line of a message or a terminal: runs of control characters become
// a blank, those at the end go, and what is longer than `limit` bytes ends in "...".
std::string OneLine(std::string_view text, size_t limit);

// "10.0.0.1:80", "[::1]:80": an IP address and a port as URLs have them.
std::string HostAndPort(const std::string& address, uint16_t port);

}  // namespace catamaran
