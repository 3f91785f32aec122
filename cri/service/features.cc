#include "cri/service/features.h"

namespace catamaran {

::runtime::v1::RuntimeHandlerFeatures FeaturesOf(const HandlerConfig&) {
  ::runtime::v1::RuntimeHandlerFeatures features;
  features.set_recursive_read_only_mounts(true);
  features.set_user_namespaces(false);
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
