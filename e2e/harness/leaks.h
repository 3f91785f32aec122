#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "e2e/harness/private_world.h"

namespace catamaran::e2e {

// Everything a pod may leave behind, as sorted text lines per kind: processes, mounts, network
// namespaces, cgroups, links, routes, nftables rules, files below root and run, and open
// descriptors of the daemon. World::TakeSnapshot adds what the daemon lists.
struct Snapshot {
  std::map<std::string, std::vector<std::string>> kinds;
};

// Of the private world this process runs in. daemon: 0 where none runs.
Snapshot TakeSnapshot(const WorldPaths& paths, pid_t daemon);

// One line per difference: "processes: new: ..." or "...: gone: ...".
std::vector<std::string> Differences(const Snapshot& before, const Snapshot& now);

// Takes snapshots until nothing differs or the time is up; returns the last differences. What ends
// asynchronously (a process on its way out, lazily freed links) gets that long and no longer.
std::vector<std::string> DifferencesAfterSettling(const Snapshot& before,
                                                  const std::function<Snapshot()>& take,
                                                  std::chrono::seconds limit);

}  // namespace catamaran::e2e
