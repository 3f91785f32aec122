#include <fmt/ranges.h>

#include <algorithm>

#include "cri/base/text.h"
#include "cri/translate/fields.h"
#include "cri/translate/parts.h"

namespace catamaran {
namespace {

constexpr size_t kLongestHostname = 64;  // HOST_NAME_MAX, sethostname(2)
const char kHostsPath[] = "/etc/hosts";
const char kHosts[] =
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n";

void AddFile(const std::string& path, const std::string& content, spec::SandboxSpec* out) {
  spec::SandboxFile* file = out->add_files();
  file->set_container_path(path);
  file->set_content(content);
  file->set_mode(0644);
}

bool IsHostname(const std::string& name) {
  return !name.empty() && name.size() <= kLongestHostname && name.front() != '-' &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
         });
}

// A word of a line of resolv.conf(5): it must not become two, or another line.
bool IsWord(const std::string& text) {
  return !text.empty() && text.size() <= 255 && !HasControlCharacters(text) &&
         text.find(' ') == std::string::npos;
}

Result<std::string> ResolvConf(const runtime::v1::DNSConfig& dns) {
  std::string content;
  for (int i = 0; i < dns.searches_size(); ++i) {
    if (!IsWord(dns.searches(i))) {
      return WrongField(fmt::format("config.dns_config.searches[{}]", i), dns.searches(i),
                        "a domain name");
    }
  }
  for (int i = 0; i < dns.options_size(); ++i) {
    if (!IsWord(dns.options(i))) {
      return WrongField(fmt::format("config.dns_config.options[{}]", i), dns.options(i),
                        "an option of resolv.conf(5), such as ndots:5");
    }
  }
  if (dns.searches_size() > 0)
    content += fmt::format("search {}\n", fmt::join(dns.searches(), " "));
  for (int i = 0; i < dns.servers_size(); ++i) {
    if (!IsIpAddress(dns.servers(i)) || !IsWord(dns.servers(i))) {
      return WrongField(fmt::format("config.dns_config.servers[{}]", i), dns.servers(i),
                        "an IP address");
    }
    content += fmt::format("nameserver {}\n", dns.servers(i));
  }
  if (dns.options_size() > 0) content += fmt::format("options {}\n", fmt::join(dns.options(), " "));
  return content;
}

}  // namespace

Status TranslateSandboxFiles(const runtime::v1::PodSandboxConfig& config, const HostFacts& host,
                             spec::SandboxSpec* out) {
  if (!config.hostname().empty() && !IsHostname(config.hostname())) {
    return WrongField("config.hostname", config.hostname(),
                      "at most 64 letters, digits, '-' and '.'");
  }
  const bool of_node = out->network() == spec::NODE;  // its uts namespace too
  const bool named = !config.hostname().empty() && !of_node;
  out->set_hostname(named ? config.hostname() : host.hostname);
  AddFile("/etc/hostname", out->hostname() + "\n", out);
  AddFile(kHostsPath, of_node ? host.hosts : kHosts, out);
  std::string resolv_conf = host.resolv_conf;
  if (config.has_dns_config()) {
    ASSIGN_OR_RETURN(resolv_conf, ResolvConf(config.dns_config()));
  }
  AddFile("/etc/resolv.conf", resolv_conf, out);
  return {};
}

void ApplyNetwork(const PodNetworkResult& network, spec::SandboxSpec* sandbox) {
  sandbox->set_network_namespace(network.netns.string());
  sandbox->clear_interfaces();
  for (const auto& interface : network.interfaces) *sandbox->add_interfaces() = interface;
  for (spec::SandboxFile& file : *sandbox->mutable_files()) {
    if (file.container_path() != kHostsPath) continue;
    std::string content = kHosts;
    for (const auto& interface : network.interfaces) {
      for (const std::string& address : interface.addresses()) {
        content +=
            fmt::format("{}\t{}\n", address.substr(0, address.find('/')), sandbox->hostname());
      }
    }
    file.set_content(content);
  }
}

}  // namespace catamaran
