#include "cri/service/features.h"

#include <cstdlib>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// user_namespaces(7): compiled in, and not forbidden by an administrator.
bool HasUserNamespaces() {
  const auto most = ReadFile("/proc/sys/user/max_user_namespaces", 32);
  return most && atol(most->c_str()) > 0;
}

}  // namespace

::runtime::v1::RuntimeHandlerFeatures FeaturesOf(const HandlerConfig& handler) {
  ::runtime::v1::RuntimeHandlerFeatures features;
  features.set_recursive_read_only_mounts(true);
  // A VM's volumes come through a file server that maps no ids.
  features.set_user_namespaces(handler.hull == HandlerConfig::Hull::kNamespaces &&
                               HasUserNamespaces());
  return features;
}

::runtime::v1::RuntimeFeatures FeaturesOfRuntime() {
  ::runtime::v1::RuntimeFeatures features;
  features.set_supplemental_groups_policy(true);
  features.set_mount_options(true);
  features.set_user_namespaces_host_network(HasUserNamespaces());
  return features;
}

}  // namespace catamaran
