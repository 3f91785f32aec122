#include "cri/nri/field_owners.h"

namespace catamaran {
namespace {

Status Take(std::string* owner, const std::string& plugin, const std::string& what) {
  if (!owner->empty()) {
    return Fail(ErrorCode::kFailedPrecondition, "NRI plugins {} and {} both set {}", *owner, plugin,
                what);
  }
  *owner = plugin;
  return {};
}

}  // namespace

Status FieldOwners::Claim(const std::string& container, nri::Field field,
                          const std::string& plugin) {
  return Take(&(*(*owners_.mutable_owners())[container].mutable_simple())[field], plugin,
              nri::Field_Name(field));
}

Status FieldOwners::Claim(const std::string& container, nri::Field field, const std::string& key,
                          const std::string& plugin) {
  auto& entries = (*(*owners_.mutable_owners())[container].mutable_compound())[field];
  return Take(&(*entries.mutable_owners())[key], plugin,
              fmt::format("{}[{}]", nri::Field_Name(field), key));
}

void FieldOwners::Join(const std::string& container, nri::Field field, const std::string& plugin) {
  std::string& owner = (*(*owners_.mutable_owners())[container].mutable_simple())[field];
  owner += (owner.empty() ? "" : ",") + plugin;
}

void FieldOwners::Release(const std::string& container, nri::Field field) {
  (*owners_.mutable_owners())[container].mutable_simple()->erase(field);
}

void FieldOwners::Release(const std::string& container, nri::Field field, const std::string& key) {
  auto& entries = (*(*owners_.mutable_owners())[container].mutable_compound())[field];
  entries.mutable_owners()->erase(key);
}

}  // namespace catamaran
