#include "cri/network/cni/json_text.h"

#include "cri/base/json.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr size_t kLongestValue = 100;

std::string PathOf(const std::string& path, const char* key) {
  return path.empty() ? key : path + "." + key;
}

}  // namespace

Result<json> ParseJsonObject(std::string_view text, const std::string& source) {
  ASSIGN_OR_RETURN(json value, ParseJson(text, source, JsonComplaint::kLineAndWords));
  if (!value.is_object())
    return Fail(ErrorCode::kInvalidArgument, "{}: must be a JSON object, not {}", source,
                value.type_name());
  return value;
}

std::string JsonText(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

tl::unexpected<Error> WrongJson(const std::string& source, const std::string& key,
                                const json& value, std::string_view what_would_be_right) {
  std::string text = JsonText(value);
  if (text.size() > kLongestValue) text = text.substr(0, kLongestValue) + "...";
  return Fail(ErrorCode::kInvalidArgument, "{}: {}: {} is wrong: must be {}", source, key, text,
              what_would_be_right);
}

Status ReadJsonKey(const std::string& source, const std::string& path, const json& object,
                   const char* key, std::string* out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  if (!found->is_string()) return WrongJson(source, PathOf(path, key), *found, "a string");
  *out = found->get<std::string>();
  return {};
}

Status ReadJsonKey(const std::string& source, const std::string& path, const json& object,
                   const char* key, bool* out) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  if (*found == "true" || *found == "false") {
    *out = *found == "true";
    return {};
  }
  if (!found->is_boolean()) return WrongJson(source, PathOf(path, key), *found, "true or false");
  *out = found->get<bool>();
  return {};
}

}  // namespace catamaran
