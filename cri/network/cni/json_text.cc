#include "cri/network/cni/json_text.h"

#include <algorithm>

namespace catamaran {
namespace {

using nlohmann::json;

constexpr size_t kLongestValue = 100;

long LineOf(std::string_view text, size_t byte) {
  return 1 + std::count(text.begin(), text.begin() + std::min(byte, text.size()), '\n');
}

std::string PathOf(const std::string& path, const char* key) {
  return path.empty() ? key : path + "." + key;
}

}  // namespace

Result<json> ParseJsonObject(std::string_view text, const std::string& source) {
  bool too_deep = false;
  const auto bound = [&](int depth, json::parse_event_t, json&) {
    if (depth > kDeepestJson) too_deep = true;
    return !too_deep;
  };
  json value;
  // The library's exceptions end here.
  try {
    value = json::parse(text, bound);
  } catch (const json::parse_error& error) {
    return Fail(ErrorCode::kInvalidArgument, "{}:{}: not JSON: {}", source,
                LineOf(text, error.byte), error.what());
  } catch (const json::exception& error) {  // numbers out of range
    return Fail(ErrorCode::kInvalidArgument, "{}: not JSON: {}", source, error.what());
  }
  if (too_deep)
    return Fail(ErrorCode::kInvalidArgument, "{}: nested deeper than {} levels", source,
                kDeepestJson);
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
