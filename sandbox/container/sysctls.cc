#include "sandbox/container/sysctls.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "sandbox/container/id_maps.h"
#include "sandbox/kernel/proc_handle.h"

namespace catamaran {
namespace {

constexpr std::array kIpcSysctls = {
    "kernel/shmall",          "kernel/shmmax", "kernel/shmmni", "kernel/msgmax",
    "kernel/shm_rmid_forced", "kernel/msgmnb", "kernel/msgmni", "kernel/sem"};

// Before Linux 5.19 the machine's root, since then that of the ipc namespace's user namespace.
Status WriteSysctl(const ProcHandle& proc, const spec::SandboxSpec& sandbox,
                   const std::string& path, const std::string& value) {
  auto written = proc.Write("sys/" + path, value);
  if (written || !sandbox.has_user_namespace() || path.starts_with("net/")) return written;
  if (seteuid(OutsideId(sandbox.user_namespace().uids(), 0).value_or(0)) != 0)
    return FailWithErrno("become the user namespace's root");
  written = proc.Write("sys/" + path, value);
  if (seteuid(0) != 0) return FailWithErrno("become root again");
  return written;
}

}  // namespace

Result<std::string> SysctlPath(const spec::SandboxSpec& sandbox, const std::string& name) {
  std::string path = name;
  const auto separator = name.find_first_of("./");
  if (separator != std::string::npos && name[separator] == '.')
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  const bool malformed = path.empty() || path.front() == '/' || path.back() == '/' ||
                         path.find("//") != std::string::npos ||
                         path.find('\0') != std::string::npos ||
                         ("/" + path + "/").find("/../") != std::string::npos ||
                         ("/" + path + "/").find("/./") != std::string::npos;
  if (malformed) return Fail(ErrorCode::kInvalidArgument, "sysctls \"{}\": malformed name", name);
  const bool ipc = path.rfind("fs/mqueue/", 0) == 0 ||
                   std::find(kIpcSysctls.begin(), kIpcSysctls.end(), path) != kIpcSysctls.end();
  if (ipc && sandbox.ipc() == spec::NODE)
    return Fail(ErrorCode::kInvalidArgument, "sysctls \"{}\": the pod shares the machine's ipc",
                name);
  const bool network = path.rfind("net/", 0) == 0 || path == "kernel/domainname";
  if (network && sandbox.network() == spec::NODE)
    return Fail(ErrorCode::kInvalidArgument, "sysctls \"{}\": the pod shares the machine's network",
                name);
  if (!ipc && !network)
    return Fail(ErrorCode::kInvalidArgument, "sysctls \"{}\": not a namespaced sysctl", name);
  return path;
}

Status ApplySysctls(const spec::SandboxSpec& sandbox) {
  if (sandbox.sysctls().empty()) return {};
  ASSIGN_OR_RETURN(auto proc, ProcHandle::OpenPrivate());
  for (const auto& [name, value] : sandbox.sysctls()) {
    ASSIGN_OR_RETURN(const std::string path, SysctlPath(sandbox, name));
    if (auto written = WriteSysctl(proc, sandbox, path, value); !written)
      return Fail(ErrorCode::kInvalidArgument, "sysctls \"{}\" = \"{}\": {}", name, value,
                  written.error().message);
  }
  return {};
}

}  // namespace catamaran
