#include "cri/base/version.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {

Result<v1::VersionResponse> GetVersion(const v1::VersionRequest&, const CallContext&) {
  v1::VersionResponse response;
  response.set_version("0.1.0");  // of the kubelet's runtime API: it exits on any other
  response.set_runtime_name("catamaran");
  response.set_runtime_version(Version());
  response.set_runtime_api_version("v1");
  return response;
}

}  // namespace catamaran
