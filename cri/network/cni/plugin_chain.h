#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "cri/network/cni/attachment.pb.h"
#include "cri/network/cni/network_list.h"
#include "cri/network/cni/plugin_run.h"

namespace catamaran {

// The operations of a network, made of its plugins' runs (CNI SPEC.md 1.1.0, section 3). Records
// nothing; callers see to it that nothing else is done to the same attachment meanwhile.
// inherited_fd: see PluginCall.
class PluginChain {
 public:
  // Both must outlive it.
  PluginChain(const PluginRunner& runner, const CniNetworkList& network)
      : runner_(runner), network_(network) {}

  // In order, each with the result of the one before. The last one's result, in the network's
  // version. Stops at the first failure: the caller then deletes.
  Result<nlohmann::json> Add(const network::CniAttachment& attachment, int inherited_fd,
                             Deadline deadline) const;
  // In reverse order. Stops at the first failure: the caller repeats it later.
  Status Delete(const network::CniAttachment& attachment, int inherited_fd,
                Deadline deadline) const;
  // Nothing where the version or the network's file has no CHECK.
  Status Check(const network::CniAttachment& attachment, Deadline deadline) const;
  // Tells each plugin what is in use; it gives back the rest. Goes on after failures and returns
  // them together. Nothing where the version or the network's file has no GC.
  Status CollectGarbage(const std::vector<network::CniAttachment>& valid, Deadline deadline) const;
  // Whether each plugin can ADD now. Nothing where the version has no STATUS.
  Status AskStatus(Deadline deadline) const;

 private:
  nlohmann::json RequestFor(const CniPlugin& plugin, const nlohmann::json& capabilities) const;

  const PluginRunner& runner_;
  const CniNetworkList& network_;
};

}  // namespace catamaran
