#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// A set of capabilities(7), one bit for each number.
struct CapabilitySet {
  uint64_t bits = 0;

  bool Has(int number) const { return (bits >> number & 1) != 0; }
  void Add(int number) { bits |= uint64_t{1} << number; }
  void Remove(int number) { bits &= ~(uint64_t{1} << number); }
  friend CapabilitySet operator&(CapabilitySet a, CapabilitySet b) { return {a.bits & b.bits}; }
  friend CapabilitySet operator|(CapabilitySet a, CapabilitySet b) { return {a.bits | b.bits}; }
  friend bool operator==(CapabilitySet, CapabilitySet) = default;
};

// "CAP_NET_RAW", "net_raw" -> 13. kInvalidArgument names the word that is none.
Result<int> CapabilityNumber(std::string_view name);
// 13 -> "CAP_NET_RAW"; "CAP_<n>" for one that is newer than this program.
std::string CapabilityName(int number);
std::vector<std::string> CapabilityNames(CapabilitySet set);

// Highest number this kernel knows (/proc/sys/kernel/cap_last_cap).
Result<int> LastCapability();
// What this process could give to a child at most: its bounding set.
Result<CapabilitySet> OwnBoundingSet();

// The fourteen that a container has unless the request says otherwise: those of containerd and
// docker.
CapabilitySet DefaultCapabilities();

// The set a process gets: `all` is `available`, names are resolved; nothing beyond `available` is
// ever given (a missing one is left out, as it cannot be had on this machine).
Result<CapabilitySet> ResolveCapabilities(const spec::Capabilities& capabilities,
                                          CapabilitySet available);
// The ambient ones (KEP-2763): never more than `bounding`, what the process gets of the others.
Result<CapabilitySet> ResolveAmbientCapabilities(const spec::Capabilities& capabilities,
                                                 CapabilitySet bounding);

// ---- In the child, in this order; by raw system calls, no libcap ----

// Drops everything else from the bounding set. While still root.
Status DropBoundingSet(CapabilitySet keep);
// Keeps the permitted set over the setuid that follows (PR_SET_KEEPCAPS).
Status KeepCapabilitiesOverSetuid();
// After setuid: effective = permitted = set, inheritable = ambient = `ambient`, keepcaps off.
// execve of a user other than root then drops all but the ambient ones by itself (capabilities(7)).
Status ApplyCapabilities(CapabilitySet set, CapabilitySet ambient = {});

}  // namespace catamaran
