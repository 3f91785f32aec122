#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace catamaran {

// One way in which a server says a client may authenticate (RFC 9110, 11.6.1).
struct Challenge {
  std::string scheme;                                           // lower case: "bearer", "basic"
  std::vector<std::pair<std::string, std::string>> parameters;  // names in lower case

  std::string Parameter(std::string_view name) const;  // the first; empty where there is none
};

// The challenges of one WWW-Authenticate header. Hostile: what cannot be read is left out, what
// could be read before it is kept.
std::vector<Challenge> ParseChallenges(std::string_view header);

}  // namespace catamaran
