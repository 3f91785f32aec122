#include <algorithm>
#include <string_view>

#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

constexpr size_t kLongestValue = 4096;

// "net.ipv4.ip_forward", or with slashes where a part has a dot: "net/ipv4/conf/eth0.1/mtu".
bool IsSysctlName(const std::string& name) {
  const char separator = name.find('/') == std::string::npos ? '.' : '/';
  const auto is_name_character = [](unsigned char c) {
    return isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  };
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find(separator, begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    if (!std::all_of(part.begin(), part.end(), is_name_character)) return false;
    begin = end + 1;
  }
  return name.size() < 256;
}

enum class Owner { kIpc, kNetwork, kNone };

// Only what a namespace of the pod owns: anything else would change the whole machine
// (namespaces(7), ipc_namespaces(7), network_namespaces(7)).
Owner OwnerOf(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  if (name.starts_with("net.")) return Owner::kNetwork;
  if (name.starts_with("fs.mqueue.")) return Owner::kIpc;
  constexpr std::string_view kIpc[] = {"kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                       "kernel.shmmni", "kernel.msgmax",         "kernel.msgmnb",
                                       "kernel.msgmni", "kernel.shm_rmid_forced"};
  return std::find(std::begin(kIpc), std::end(kIpc), name) != std::end(kIpc) ? Owner::kIpc
                                                                             : Owner::kNone;
}

void SetDefault(const std::string& name, const std::string& value, spec::SandboxSpec* out) {
  if (!out->sysctls().contains(name)) (*out->mutable_sysctls())[name] = value;
}

}  // namespace

Status TranslateSysctls(const runtime::v1::LinuxPodSandboxConfig& config, spec::SandboxSpec* out) {
  for (const auto& [name, value] : config.sysctls()) {
    if (!IsSysctlName(name)) {
      return WrongField("config.linux.sysctls", name, "keyed by a name such as net.core.somaxconn");
    }
    const std::string field = fmt::format("config.linux.sysctls[{}]", name);
    switch (OwnerOf(name)) {
      case Owner::kNone:
        return WrongField("config.linux.sysctls", name,
                          "one that a namespace of the pod owns: net.*, fs.mqueue.*, kernel.shm*, "
                          "kernel.msg* or kernel.sem");
      case Owner::kNetwork:
        if (out->network() == spec::NODE) {
          return WrongField("config.linux.sysctls", name, "absent with the node's network");
        }
        break;
      case Owner::kIpc:
        if (out->ipc() == spec::NODE) {
          return WrongField("config.linux.sysctls", name, "absent with the node's ipc namespace");
        }
        break;
    }
    if (value.empty() || value.size() > kLongestValue || value.find('\0') != std::string::npos ||
        value.find('\n') != std::string::npos) {
      return WrongField(field, value, "one line of text");
    }
    (*out->mutable_sysctls())[name] = value;
  }
  // What workloads have come to rely on: any user may listen on port 80 and may ping.
  if (out->network() == spec::POD) {
    SetDefault("net.ipv4.ip_unprivileged_port_start", "0", out);
    if (!out->has_user_namespace()) SetDefault("net.ipv4.ping_group_range", "0 2147483647", out);
  }
  return {};
}

}  // namespace catamaran
