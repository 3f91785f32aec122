#include "cri/base/json.h"

#include <algorithm>

namespace catamaran {
namespace {

constexpr int kMaximumDepth = 64;
constexpr size_t kMaximumValues = 200'000;

// Counts nesting and values without building anything.
Status CheckShape(std::string_view text, std::string_view what) {
  int depth = 0;
  size_t values = 1;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == ',' || c == '[' || c == '{') ++values;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > kMaximumDepth)
      return Fail(ErrorCode::kInvalidArgument, "{}: nested deeper than {}", what, kMaximumDepth);
    if (values > kMaximumValues)
      return Fail(ErrorCode::kInvalidArgument, "{}: more than {} values", what, kMaximumValues);
  }
  return {};
}

long LineOf(std::string_view text, size_t byte) {
  return 1 + std::count(text.begin(), text.begin() + std::min(byte, text.size()), '\n');
}

const nlohmann::json& Null() {
  static const nlohmann::json kNull;
  return kNull;
}

const nlohmann::json& EmptyObject() {
  static const nlohmann::json kEmpty = nlohmann::json::object();
  return kEmpty;
}

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text, std::string_view what,
                                 JsonComplaint complaint) {
  RETURN_IF_ERROR(CheckShape(text, what));
  // The library's exceptions end here.
  const auto failed = [&](const std::string& place, const char* words) {
    const bool quote = complaint == JsonComplaint::kLineAndWords;
    return Fail(ErrorCode::kInvalidArgument, "{}: not JSON{}{}", place, quote ? ": " : "",
                quote ? words : "");
  };
  // Which the library takes for the end of the text, whatever follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    return failed(fmt::format("{}:{}", what, LineOf(text, nul)), "a NUL byte");
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    return failed(fmt::format("{}:{}", what, LineOf(text, error.byte)), error.what());
  } catch (const nlohmann::json::exception& error) {  // numbers out of range
    return failed(std::string(what), error.what());
  }
}

Result<std::string> JsonString(const nlohmann::json& value, const std::string& where) {
  if (!value.is_string()) return Fail(ErrorCode::kInvalidArgument, "{}: is not a string", where);
  const auto& text = value.get_ref<const std::string&>();
  if (text.find('\0') != std::string::npos)
    return Fail(ErrorCode::kInvalidArgument, "{}: holds a NUL byte", where);
  return text;
}

Result<JsonObject> JsonObject::From(const nlohmann::json& value, std::string where) {
  if (!value.is_object()) return Fail(ErrorCode::kInvalidArgument, "{}: is not an object", where);
  return JsonObject(value, std::move(where));
}

const nlohmann::json& JsonObject::Field(const char* field) const {
  const auto found = value_->find(field);
  return found == value_->end() ? Null() : *found;
}

tl::unexpected<Error> JsonObject::Wrong(const char* field, const char* expected) const {
  return Fail(ErrorCode::kInvalidArgument, "{}: field \"{}\" is not {}", where_, field, expected);
}

bool JsonObject::Has(const char* field) const { return !Field(field).is_null(); }

Status JsonObject::CheckFields(std::initializer_list<std::string_view> known) const {
  for (const auto& item : value_->items())
    if (std::find(known.begin(), known.end(), item.key()) == known.end())
      return Fail(ErrorCode::kInvalidArgument, "{}: field \"{}\" is not known", where_,
                  item.key().substr(0, 100));
  return {};
}

Result<std::string> JsonObject::String(const char* field) const {
  const auto& value = Field(field);
  if (value.is_null()) return std::string();
  if (!value.is_string()) return Wrong(field, "a string");
  return JsonString(value, where_ + ": field \"" + field + "\"");
}

Result<uint64_t> JsonObject::Size(const char* field) const {
  const auto& value = Field(field);
  if (value.is_null()) return uint64_t{0};
  if (!value.is_number_unsigned()) return Wrong(field, "a whole number from 0");
  return value.get<uint64_t>();
}

Result<std::vector<std::string>> JsonObject::Strings(const char* field) const {
  std::vector<std::string> strings;
  RETURN_IF_ERROR(
      ForEach(field, [&](const nlohmann::json& element, const std::string& where) -> Status {
        ASSIGN_OR_RETURN(auto text, JsonString(element, where));
        strings.push_back(std::move(text));
        return {};
      }));
  return strings;
}

Result<std::vector<std::string>> JsonObject::Keys(const char* field) const {
  ASSIGN_OR_RETURN(const auto object, Object(field));
  std::vector<std::string> keys;
  for (const auto& item : object.value_->items()) keys.push_back(item.key());
  for (const auto& key : keys)
    if (key.find('\0') != std::string::npos) return Wrong(field, "free of NUL bytes");
  return keys;
}

Result<std::vector<std::pair<std::string, std::string>>> JsonObject::StringMap(
    const char* field) const {
  ASSIGN_OR_RETURN(const auto keys, Keys(field));
  ASSIGN_OR_RETURN(const auto object, Object(field));
  std::vector<std::pair<std::string, std::string>> map;
  for (const auto& key : keys) {
    ASSIGN_OR_RETURN(auto text, object.String(key.c_str()));
    map.emplace_back(key, std::move(text));
  }
  return map;
}

Result<JsonObject> JsonObject::Object(const char* field) const {
  const auto& value = Field(field);
  if (value.is_null()) return JsonObject(EmptyObject(), where_);
  if (!value.is_object()) return Wrong(field, "an object");
  return JsonObject(value, where_ + "." + field);
}

Status JsonObject::ForEach(
    const char* field,
    const std::function<Status(const nlohmann::json& element, std::string where)>& use) const {
  const auto& value = Field(field);
  if (value.is_null()) return {};
  if (!value.is_array()) return Wrong(field, "a list");
  size_t index = 0;
  for (const auto& element : value)
    RETURN_IF_ERROR(use(element, fmt::format("{}.{}[{}]", where_, field, index++)));
  return {};
}

}  // namespace catamaran
