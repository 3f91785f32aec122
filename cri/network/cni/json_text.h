#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// The object that `text` is, within ParseJson's bounds. kInvalidArgument naming source:line
// otherwise.
Result<nlohmann::json> ParseJsonObject(std::string_view text, const std::string& source);
// One line; bytes that are not UTF-8 are replaced.
std::string JsonText(const nlohmann::json& value);

// "net.conflist: plugins[0].type: 5 is wrong: must be ..." (kInvalidArgument). Long values are cut.
tl::unexpected<Error> WrongJson(const std::string& source, const std::string& key,
                                const nlohmann::json& value, std::string_view what_would_be_right);

// Reading one key of an object: absent (or null) leaves `out` alone, another type is WrongJson.
Status ReadJsonKey(const std::string& source, const std::string& path, const nlohmann::json& object,
                   const char* key, std::string* out);
Status ReadJsonKey(const std::string& source, const std::string& path, const nlohmann::json& object,
                   const char* key, bool* out);  // also "true" and "false": libcni takes both

}  // namespace catamaran
