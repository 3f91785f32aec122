#include <nlohmann/json.hpp>

#include "cri/base/version.h"
#include "cri/service/features.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {
namespace {

void AddCondition(const std::string& type, bool status, const std::string& reason,
                  const std::string& message, v1::RuntimeStatus* out) {
  v1::RuntimeCondition* condition = out->add_conditions();
  condition->set_type(type);
  condition->set_status(status);
  condition->set_reason(reason);
  condition->set_message(message);
}

void AddHandler(const std::string& name, const HandlerConfig& handler, v1::StatusResponse* out) {
  v1::RuntimeHandler* entry = out->add_runtime_handlers();
  entry->set_name(name);
  *entry->mutable_features() = FeaturesOf(handler);
}

std::string Details(const Config& config, const PodNetwork::Readiness& network) {
  nlohmann::json handlers = nlohmann::json::array();
  for (const HandlerConfig& handler : config.handlers) {
    nlohmann::json entry = {{"name", handler.name},
                            {"backend", handler.hull == HandlerConfig::Hull::kVm ? "vm" : "ns"}};
    if (handler.hull == HandlerConfig::Hull::kVm) {
      entry["kernel"] = handler.machine.kernel();
      entry["template"] = handler.machine.use_template();
    }
    handlers.push_back(std::move(entry));
  }
  const nlohmann::json details = {
      {"version", Version()},
      {"listen", config.listen},
      {"root", config.root.string()},
      {"run", config.run.string()},
      {"cgroupDriver", CgroupDriverName(config.cgroup_driver)},
      {"cgroupRoot", config.cgroup_root},
      {"defaultHandler", config.default_handler},
      {"handlers", handlers},
      {"network", config.network == Config::Network::kBuiltin ? "builtin" : "cni"},
      {"networkReady", network.ready},
      {"allowEmulation", config.allow_emulation},
  };
  return details.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<v1::StatusResponse> GetStatus(const v1::StatusRequest& request, const CallContext&,
                                     const Config& config, const PodNetwork& network,
                                     const std::map<std::string, std::string>& more_info) {
  v1::StatusResponse response;
  const PodNetwork::Readiness readiness = network.ready();
  AddCondition("RuntimeReady", true, "", "", response.mutable_status());
  AddCondition("NetworkReady", readiness.ready, readiness.reason, readiness.message,
               response.mutable_status());
  // The kubelet looks the default handler up by the empty name.
  if (const HandlerConfig* handler = config.FindHandler("")) AddHandler("", *handler, &response);
  for (const HandlerConfig& handler : config.handlers) AddHandler(handler.name, handler, &response);
  *response.mutable_features() = FeaturesOfRuntime();
  if (request.verbose()) {
    response.mutable_info()->insert(more_info.begin(), more_info.end());
    (*response.mutable_info())["info"] = Details(config, readiness);
  }
  return response;
}

}  // namespace catamaran
