#include "cri/cdi/cdi_spec.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "cri/base/json.h"
#include "cri/cdi/cdi_version.h"
#include "cri/cdi/edits_reader.h"
#include "cri/cdi/yaml_json.h"

namespace catamaran {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostDevices = 4096;
constexpr size_t kLongestVendor = 253;
constexpr size_t kLongestClass = 63;

bool IsAlphanumeric(char c) { return isalnum(static_cast<unsigned char>(c)) != 0; }

// Letters and digits at both ends, these others in between.
bool IsWord(std::string_view text, std::string_view others) {
  return !text.empty() && IsAlphanumeric(text.front()) && IsAlphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return IsAlphanumeric(c) || others.find(c) != std::string_view::npos;
         });
}

bool BeginsWithLetter(std::string_view text) {
  return !text.empty() && isalpha(static_cast<unsigned char>(text.front())) != 0;
}

Status CheckKind(const std::string& kind) {
  const size_t slash = kind.find('/');
  const std::string_view vendor = std::string_view(kind).substr(0, slash);
  const std::string_view device_class =
      slash == std::string::npos ? "" : std::string_view(kind).substr(slash + 1);
  if (BeginsWithLetter(vendor) && IsWord(vendor, "_-.") && vendor.size() <= kLongestVendor &&
      BeginsWithLetter(device_class) && IsWord(device_class, "_-.") &&
      device_class.size() <= kLongestClass)
    return {};
  return Fail(ErrorCode::kInvalidArgument,
              "kind '{}' is wrong: must be VENDOR/CLASS, as vendor.com/net", kind.substr(0, 320));
}

bool IsDeviceName(std::string_view name) { return IsWord(name, "_-.:") && name.size() <= 253; }

// Labels for people: only their shape is looked at.
Status CheckAnnotations(const JsonObject& object, const CdiFeatures& features) {
  if (!object.Has("annotations")) return {};
  RETURN_IF_ERROR(features.Use(kCdiAnnotations, "annotations"));
  RETURN_IF_ERROR(object.StringMap("annotations"));
  return {};
}

Result<CdiDevice> ReadDevice(const JsonObject& object, const CdiFeatures& features) {
  RETURN_IF_ERROR(object.CheckFields({"name", "annotations", "containerEdits"}));
  CdiDevice device;
  ASSIGN_OR_RETURN(device.name, object.String("name"));
  if (!IsDeviceName(device.name))
    return Fail(ErrorCode::kInvalidArgument,
                "a device's name '{}' is wrong: must be of letters, digits, _, -, . and :",
                device.name.substr(0, 100));
  if (!BeginsWithLetter(device.name))
    RETURN_IF_ERROR(features.Use(kCdiHostPaths, "the device name " + device.name));
  RETURN_IF_ERROR(CheckAnnotations(object, features));
  ASSIGN_OR_RETURN(const auto edits, object.Object("containerEdits"));
  ASSIGN_OR_RETURN(device.edits, ReadCdiEdits(edits, features));
  if (device.edits.empty())
    return Fail(ErrorCode::kInvalidArgument, "device {} has no containerEdits", device.name);
  return device;
}

Result<CdiSpec> ReadSpec(const Json& json, const std::string& file_name) {
  ASSIGN_OR_RETURN(const auto object, JsonObject::From(json, file_name));
  RETURN_IF_ERROR(
      object.CheckFields({"cdiVersion", "kind", "annotations", "devices", "containerEdits"}));
  ASSIGN_OR_RETURN(const auto version_text, object.String("cdiVersion"));
  ASSIGN_OR_RETURN(const auto version, CdiVersion::Parse(version_text));
  const CdiFeatures features(version);
  CdiSpec spec;
  ASSIGN_OR_RETURN(spec.kind, object.String("kind"));
  RETURN_IF_ERROR(CheckKind(spec.kind));
  if (spec.kind.find('.', spec.kind.find('/')) != std::string::npos)
    RETURN_IF_ERROR(features.Use(kCdiAnnotations, "a dot in the class of kind " + spec.kind));
  RETURN_IF_ERROR(CheckAnnotations(object, features));
  ASSIGN_OR_RETURN(const auto edits, object.Object("containerEdits"));
  ASSIGN_OR_RETURN(spec.edits, ReadCdiEdits(edits, features));
  std::set<std::string> names;
  RETURN_IF_ERROR(object.ForEach("devices", [&](const Json& value, std::string where) -> Status {
    ASSIGN_OR_RETURN(const auto entry, JsonObject::From(value, std::move(where)));
    ASSIGN_OR_RETURN(auto device, ReadDevice(entry, features));
    if (!names.insert(device.name).second)
      return Fail(ErrorCode::kInvalidArgument, "device {} is there twice", device.name);
    if (names.size() > kMostDevices)
      return Fail(ErrorCode::kInvalidArgument, "more than {} devices", kMostDevices);
    spec.devices.push_back(std::move(device));
    return {};
  }));
  if (spec.devices.empty()) return Fail(ErrorCode::kInvalidArgument, "devices: there are none");
  return spec;
}

}  // namespace

bool CdiEdits::empty() const {
  return env.empty() && devices.empty() && mounts.empty() && additional_gids.empty() &&
         hooks.ByteSizeLong() == 0 && !has_net_devices && !has_intel_rdt;
}

Result<CdiName> ParseCdiName(const std::string& text) {
  const size_t equals = text.find('=');
  CdiName name;
  if (equals != std::string::npos) {
    name.kind = text.substr(0, equals);
    name.device = text.substr(equals + 1);
  }
  if (!CheckKind(name.kind) || !IsDeviceName(name.device))
    return Fail(ErrorCode::kInvalidArgument,
                "'{}' is wrong: must be VENDOR/CLASS=NAME, as vendor.com/net=eth1",
                text.substr(0, 200));
  return name;
}

Result<CdiSpec> ParseCdiSpec(std::string_view text, CdiFormat format,
                             const std::string& file_name) {
  auto json = format == CdiFormat::kJson ? ParseJson(text, file_name, JsonComplaint::kLineAndWords)
                                         : ParseYamlAsJson(text, file_name);
  if (!json) return tl::unexpected(std::move(json).error());
  auto spec = ReadSpec(*json, file_name);
  if (!spec && spec.error().message.find(file_name) != 0)
    return tl::unexpected(std::move(spec).error().While(file_name));
  return spec;
}

}  // namespace catamaran
