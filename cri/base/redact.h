#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace catamaran {

// What stands where a secret was.
inline constexpr std::string_view kHidden = "(hidden)";

// The text without what looks like a secret: values after names such as password, token, secret or
// api-key ("--token=x", "TOKEN: x", "--password x"), after Bearer and Basic, and passwords in URLs.
// A secret without such a name is not seen: what is known to be one must not get here. Linear.
std::string RedactText(std::string_view text);

// A request or record of the CRI as JSON, without values of environment variables, values of
// annotations but for a few of the kubelet's own, credentials; and RedactText on all other strings.
void RedactJson(nlohmann::json* value);

}  // namespace catamaran
