#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

// A YAML document as JSON, with the types that plain scalars have in it (null, booleans, integers;
// everything else is text), so that one reader serves both. Bounded in depth and number of values;
// anchors, aliases, tags and a second document are kInvalidArgument naming file and line.
Result<nlohmann::json> ParseYamlAsJson(std::string_view text, const std::string& file_name);

}  // namespace catamaran
