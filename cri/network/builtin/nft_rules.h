#pragma once

#include <string>
#include <vector>

#include "cri/network/builtin/network_record.pb.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The nftables rules of one daemon: a table of its own, `tag` in its name and in that of every
// interface it makes ("cat<tag>..."), so that daemons do not meet.
//
// The whole table in one transaction: replaced, never edited, so what is in the kernel is a
// function of the records. Pods' traffic to the world is masqueraded; host ports lead to pods, from
// outside, from the machine itself and from its loopback addresses.
std::string NftTableName(const std::string& tag);
std::string NftRules(const std::string& tag, const std::vector<network::NetworkRecord>& records);
// Removes the table; also where there is none.
std::string NftRemoval(const std::string& tag);

// Runs `nft -f -` with these rules (posix_spawn; about ten milliseconds). kFailedPrecondition where
// nft is not installed.
Status RunNft(const std::string& rules, Deadline deadline);

}  // namespace catamaran
