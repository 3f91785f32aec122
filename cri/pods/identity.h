#pragma once

#include <string>
#include <string_view>

#include "cri/pods/record.pb.h"
#include "sandbox/base/result.h"

namespace catamaran {

// A new random id: 64 lower-case hexadecimal digits.
Result<std::string> NewId();
// Whether NewId may have given this one.
bool IsPodId(std::string_view name);

// The unique names under which a pod and a container are claimed.
std::string NameOf(const record::PodRecord& pod);
std::string NameOf(const record::ContainerRecord& container, const record::PodRecord& pod);

// What makes two requests of one name the same request: the bytes of the request, with map entries
// in order (of CreateContainer without the sandbox's configuration, which the sandbox has).
std::string Fingerprint(const ::runtime::v1::RunPodSandboxRequest& request);
std::string Fingerprint(const ::runtime::v1::CreateContainerRequest& request);
std::string Fingerprint(const record::PodRecord& pod);
std::string Fingerprint(const record::ContainerRecord& container);

}  // namespace catamaran
