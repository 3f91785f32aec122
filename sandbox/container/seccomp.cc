#include "sandbox/container/seccomp.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <utility>

#include "sandbox/container/seccomp_precompiled.inc"
#include "sandbox/container/seccomp_rules.h"

namespace catamaran {
namespace {

constexpr size_t kMostCached = 128;

// The default profile of most containers was compiled with this program.
std::shared_ptr<const SeccompProgram> FindPrecompiled(CapabilitySet capabilities) {
  for (const auto& ready : kPrecompiledSeccomp) {
    if (ready.capabilities != capabilities.bits) continue;
    auto program = std::make_shared<SeccompProgram>();
    program->filter.assign(ready.filter, ready.filter + ready.length);
    return program;
  }
  return nullptr;
}

}  // namespace

Result<std::shared_ptr<const SeccompProgram>> CompileSeccomp(const spec::SeccompProfile& profile,
                                                             CapabilitySet capabilities) {
  if (profile.kind() == spec::SeccompProfile::UNCONFINED)
    return std::make_shared<const SeccompProgram>();
  const bool own = profile.kind() == spec::SeccompProfile::LOCALHOST;
  if (!own) {
    capabilities = CapabilitiesOfDefaultProfile(capabilities);
    if (auto ready = FindPrecompiled(capabilities)) return ready;
  }
  static std::mutex mutex;
  static std::map<std::pair<std::string, uint64_t>, std::shared_ptr<const SeccompProgram>> cache;
  const std::pair key(own ? profile.profile_json() : "", capabilities.bits);
  {
    const std::lock_guard lock(mutex);
    if (const auto found = cache.find(key); found != cache.end()) return found->second;
  }
  auto compiled = own ? CompileJsonProfile(profile.profile_json(), capabilities)
                      : CompileDefaultProfile(capabilities);
  if (!compiled) return tl::unexpected(std::move(compiled).error());
  auto program = std::make_shared<const SeccompProgram>(std::move(*compiled));
  const std::lock_guard lock(mutex);
  if (cache.size() >= kMostCached) cache.clear();
  cache.emplace(key, program);
  return program;
}

Status InstallSeccomp(const SeccompProgram& program) {
  if (program.empty()) return {};
  sock_fprog filter{static_cast<unsigned short>(program.filter.size()),
                    const_cast<sock_filter*>(program.filter.data())};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter) != 0)
    return FailWithErrno("install the seccomp filter");
  return {};
}

}  // namespace catamaran
