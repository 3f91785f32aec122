#include "cri/images/hostile/archive_attacks.h"

#include <malloc.h>

#include "cri/images/testing/tar_builder.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Of a line of proc_pid_status(5), "VmHWM:  5 kB".
uint64_t StatusBytes(const std::string& name) {
  const std::string status = ReadFile("/proc/self/status").value();
  const auto at = status.find(name + ":");
  return at == std::string::npos ? 0 : std::stoull(status.substr(at + name.size() + 1)) << 10;
}

}  // namespace

uint64_t ArchiveAttacks::GrowthByManifestOf(uint64_t bytes) {
  const auto files = OciLayoutFiles({{.layers = {TarBuilder().File("f", "x").Build()}}});
  WriteFolder(scratch_ / "layout", files);
  std::filesystem::resize_file(scratch_ / "layout" / "index.json", bytes);
  malloc_trim(0);
  WriteTestFile("/proc/self/clear_refs", "5");  // the peak begins anew: proc(5)
  const uint64_t before = StatusBytes("VmRSS");
  (void)store_->Load(HostPath(scratch_ / "layout"), {});
  return StatusBytes("VmHWM") - before;
}

}  // namespace catamaran
