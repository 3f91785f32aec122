#include <fcntl.h>
#include <sys/file.h>

#include "cri/network/pod_network.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_client.h"

namespace catamaran {

std::vector<std::string> PodNetworkResult::ips() const {
  std::vector<std::string> ips;
  for (const auto& interface : interfaces)
    for (const auto& address : interface.addresses())
      ips.push_back(address.substr(0, address.find('/')));
  return ips;
}

bool ShimManager::IsGone(const ShimPaths& paths) {
  auto lock = OpenFile(paths.lock().value(), O_RDWR);
  return !lock || flock(lock->get(), LOCK_EX | LOCK_NB) == 0;
}

Result<std::vector<pod::ProcessExited>> ShimManager::ReadJournal(const ShimPaths& paths) {
  std::vector<pod::ProcessExited> exits;
  auto bytes = ReadFile(paths.journal().value());
  if (!bytes) return exits;
  exits.emplace_back().ParseFromString(*bytes);
  return exits;
}

}  // namespace catamaran
