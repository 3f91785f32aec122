#pragma once

#include <functional>
#include <string>

#include "cri/service/grpc_cri_client.h"

namespace catamaran {

// All that a daemon tells of itself, its pods, containers and images, as JSON without secrets.
// `add` is given a file's name and its text.
void CollectDaemonFacts(CriClient& cri,
                        const std::function<void(const std::string&, const std::string&)>& add);

}  // namespace catamaran
