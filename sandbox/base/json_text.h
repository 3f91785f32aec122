#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace catamaran {

// The text of a member of an object that came from elsewhere; empty where it is absent or no text,
// or where this is no object.
inline std::string TextAt(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace catamaran
