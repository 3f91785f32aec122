#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// What an error says of a text that is not JSON: the parser's words quote some of it, which may be
// a secret.
enum class JsonComplaint { kLine, kLineAndWords };

// Parses hostile JSON: nesting, number of values and so memory are bounded before the parser sees
// it. kInvalidArgument naming `what` and the line.
Result<nlohmann::json> ParseJson(std::string_view text, std::string_view what,
                                 JsonComplaint complaint = JsonComplaint::kLine);

// Typed access to one JSON object: each accessor treats absent and null alike (an empty value) and
// fails with kInvalidArgument naming the document, the field, and the type it should have. Strings
// never hold NUL bytes. The JSON value must outlive the reader.
class JsonObject {
 public:
  // Fails where `value` is not an object.
  static Result<JsonObject> From(const nlohmann::json& value, std::string where);

  bool Has(const char* field) const;
  // kInvalidArgument where there is a field of another name.
  Status CheckFields(std::initializer_list<std::string_view> known) const;
  Result<std::string> String(const char* field) const;
  Result<uint64_t> Size(const char* field) const;
  Result<std::vector<std::string>> Strings(const char* field) const;
  // Keys in sorted order.
  Result<std::vector<std::string>> Keys(const char* field) const;
  Result<std::vector<std::pair<std::string, std::string>>> StringMap(const char* field) const;
  // An empty object where the field is absent.
  Result<JsonObject> Object(const char* field) const;
  Status ForEach(
      const char* field,
      const std::function<Status(const nlohmann::json& element, std::string where)>& use) const;

 private:
  JsonObject(const nlohmann::json& value, std::string where)
      : value_(&value), where_(std::move(where)) {}
  const nlohmann::json& Field(const char* field) const;
  tl::unexpected<Error> Wrong(const char* field, const char* expected) const;

  const nlohmann::json* value_;
  std::string where_;
};

// A string element of an array, without NUL bytes.
Result<std::string> JsonString(const nlohmann::json& value, const std::string& where);

}  // namespace catamaran
