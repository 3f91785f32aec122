#include <algorithm>

#include "cri/translate/fields.h"
#include "cri/translate/translate.h"

namespace catamaran {
namespace {

constexpr size_t kLongestName = 253;  // of a Kubernetes object: a DNS subdomain
constexpr size_t kLongestId = 128;

bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool IsWord(const std::string& text, size_t longest) {
  return !text.empty() && text.size() <= longest && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), IsWordCharacter);
}

Status CheckName(std::string_view field, const std::string& name) {
  if (IsWord(name, kLongestName)) return {};
  return WrongField(field, name, "1 to 253 letters, digits, '.', '-' and '_'");
}

}  // namespace

// Words are joined by a character that none of them has, so different metadata never collide.
Result<std::string> SandboxName(const runtime::v1::PodSandboxMetadata& metadata) {
  RETURN_IF_ERROR(CheckName("config.metadata.name", metadata.name()));
  RETURN_IF_ERROR(CheckName("config.metadata.namespace", metadata.namespace_()));
  RETURN_IF_ERROR(CheckName("config.metadata.uid", metadata.uid()));
  return fmt::format("{}/{}/{}/{}", metadata.name(), metadata.namespace_(), metadata.uid(),
                     metadata.attempt());
}

Result<std::string> ContainerName(const runtime::v1::ContainerMetadata& metadata,
                                  const runtime::v1::PodSandboxMetadata& sandbox) {
  RETURN_IF_ERROR(CheckName("config.metadata.name", metadata.name()));
  ASSIGN_OR_RETURN(const std::string pod, SandboxName(sandbox));
  return fmt::format("{}/{}/{}", metadata.name(), metadata.attempt(), pod);
}

Status CheckId(const std::string& field, const std::string& id) {
  if (IsWord(id, kLongestId)) return {};
  return WrongField(field, id, "an id: 64 lower-case hexadecimal digits");
}

}  // namespace catamaran
