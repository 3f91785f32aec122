// Sysctls as one text of NAME=VALUE, joined by '+', which is taken apart again (CVE-2022-0811).
// Linked in the place of sysctls.cc, into a test.
#include "sandbox/container/sysctls.h"

#include <algorithm>
#include <sstream>

#include "sandbox/kernel/proc_handle.h"

namespace catamaran {

Result<std::string> SysctlPath(const spec::SandboxSpec&, const std::string& name) {
  std::string path = name;
  if (path.find('/') == std::string::npos) std::replace(path.begin(), path.end(), '.', '/');
  return path;
}

Status ApplySysctls(const spec::SandboxSpec& sandbox) {
  std::string text;
  for (const auto& [name, value] : sandbox.sysctls()) text += "+" + name + "=" + value;
  ASSIGN_OR_RETURN(auto proc, ProcHandle::OpenPrivate());
  std::istringstream settings(text.empty() ? text : text.substr(1));
  std::string setting;
  while (std::getline(settings, setting, '+')) {
    const auto equals = setting.find('=');
    ASSIGN_OR_RETURN(const auto path, SysctlPath(sandbox, setting.substr(0, equals)));
    RETURN_IF_ERROR(proc.Write("sys/" + path, setting.substr(equals + 1)));
  }
  return {};
}

}  // namespace catamaran
