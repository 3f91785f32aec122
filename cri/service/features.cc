#include "cri/service/features.h"

namespace catamaran {

::runtime::v1::RuntimeHandlerFeatures FeaturesOf(const HandlerConfig& handler) {
  const bool namespaces = handler.hull == HandlerConfig::Hull::kNamespaces;
  ::runtime::v1::RuntimeHandlerFeatures features;
  features.set_recursive_read_only_mounts(namespaces);
  // A guest's volumes are not id-mapped, so a VM has no user namespaces to offer.
  features.set_user_namespaces(namespaces);
  return features;
}

::runtime::v1::RuntimeFeatures FeaturesOfRuntime() {
  ::runtime::v1::RuntimeFeatures features;
  features.set_supplemental_groups_policy(true);
  features.set_mount_options(true);
  features.set_user_namespaces_host_network(false);
  return features;
}

}  // namespace catamaran
