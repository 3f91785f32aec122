#include "cri/cdi/cdi_registry.h"

#include <fmt/ranges.h>

#include <set>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kLargestFile = 4 << 20;
constexpr size_t kMostFiles = 1024;

}  // namespace

CdiRegistry CdiRegistry::Read(const std::vector<HostPath>& folders) {
  CdiRegistry registry;
  size_t files = 0;
  for (size_t folder = 0; folder < folders.size(); ++folder) {
    const auto names = ListDirectory(folders[folder].value());
    for (const auto& name : names.value_or(std::vector<std::string>())) {
      if (name.front() == '.' || (!name.ends_with(".json") && !name.ends_with(".yaml"))) continue;
      if (++files > kMostFiles) {
        registry.failures_.push_back(fmt::format("more than {} files", kMostFiles));
        return registry;
      }
      registry.AddFile((folders[folder] / name).string(), folder);
    }
  }
  return registry;
}

void CdiRegistry::AddFile(const std::string& path, size_t folder) {
  const auto text = ReadFile(path, kLargestFile);
  auto spec = text ? ParseCdiSpec(
                         *text, path.ends_with(".json") ? CdiFormat::kJson : CdiFormat::kYaml, path)
                   : Result<CdiSpec>(tl::unexpected<Error>(text.error()));
  if (!spec) {
    failures_.push_back(spec.error().message);
    return;
  }
  for (size_t i = 0; i < spec->devices.size(); ++i) {
    Entry entry{specs_.size(), i, folder, ""};
    const auto [slot, is_new] =
        devices_.try_emplace(spec->kind + "=" + spec->devices[i].name, entry);
    if (is_new) continue;
    if (slot->second.folder == folder)
      entry.conflict = fmt::format("{} and {}", files_[slot->second.spec], path);
    slot->second = entry;
  }
  specs_.push_back(std::move(*spec));
  files_.push_back(path);
}

Result<std::vector<CdiEdits>> CdiRegistry::Find(const std::vector<std::string>& names) const {
  std::vector<CdiEdits> edits;
  std::set<size_t> seen;
  for (const auto& name : names) {
    const auto found = devices_.find(name);
    if (found == devices_.end())
      return Fail(
          ErrorCode::kNotFound, "CDI device {}: no file of this host describes it{}{}", name,
          failures_.empty() ? "" : "; what could not be read: ", fmt::join(failures_, "; "));
    const Entry& entry = found->second;
    if (!entry.conflict.empty())
      return Fail(ErrorCode::kFailedPrecondition, "CDI device {} is described twice, by {}", name,
                  entry.conflict);
    const CdiSpec& spec = specs_[entry.spec];
    if (seen.insert(entry.spec).second) edits.push_back(spec.edits);
    edits.push_back(spec.devices[entry.device].edits);
  }
  return edits;
}

}  // namespace catamaran
