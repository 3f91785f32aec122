#include "cri/service/runtime_calls.h"

namespace catamaran {

Result<v1::RuntimeConfigResponse> GetRuntimeConfig(const v1::RuntimeConfigRequest&,
                                                   const CallContext&, const Config& config) {
  v1::RuntimeConfigResponse response;
  response.mutable_linux()->set_cgroup_driver(
      config.cgroup_driver == CgroupDriver::kSystemd ? v1::SYSTEMD : v1::CGROUPFS);
  return response;
}

Result<v1::UpdateRuntimeConfigResponse> UpdateRuntimeConfig(
    const v1::UpdateRuntimeConfigRequest& request, const CallContext&, PodNetwork& network) {
  const std::string& cidr = request.runtime_config().network_config().pod_cidr();
  if (!cidr.empty()) {
    auto set = network.SetPodCidr(cidr);
    if (!set) {
      return tl::unexpected(std::move(set).error().While("runtime_config.network_config.pod_cidr"));
    }
  }
  return v1::UpdateRuntimeConfigResponse();
}

}  // namespace catamaran
