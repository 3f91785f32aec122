#pragma once

#include <string>

#include "cri/pods/pods.h"

namespace catamaran {

// The pod or container that a request's field names. kInvalidArgument naming the field where it is
// no id at all, kNotFound where nothing listed has it.
Result<std::shared_ptr<Pod>> RequirePod(Pods& pods, const std::string& field,
                                        const std::string& id);
Result<PodTable::Member> RequireContainer(Pods& pods, const std::string& field,
                                          const std::string& id);

// kFailedPrecondition naming the container, its state and `why` where it does not run.
Status RequireRunning(const PodTable::Member& member, const char* why);

// The same for Stop and Remove, to which what is gone is success: null where nothing has the id.
Result<std::shared_ptr<Pod>> FindPod(Pods& pods, const std::string& field, const std::string& id);
Result<PodTable::Member> FindContainer(Pods& pods, const std::string& field, const std::string& id);

}  // namespace catamaran
