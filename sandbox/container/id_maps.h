#pragma once

#include <cstdint>
#include <optional>

#include "sandbox/base/result.h"
#include "sandbox/kernel/user_namespace.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

using IdMappings = google::protobuf::RepeatedPtrField<spec::IdMapping>;

// kInvalidArgument names what is wrong with field.uids or field.gids: each needs at least one
// range, none may be empty or reach the last id (which means "unchanged" to the kernel), and id 0
// must be in one.
Status CheckMappings(const spec::UserNamespace& maps, const std::string& field);

IdMaps ToIdMaps(const spec::UserNamespace& maps);

// What an id of the container is outside; nothing where it is in no range.
std::optional<uint32_t> OutsideId(const IdMappings& mappings, uint32_t inside);

// kInvalidArgument names the id of the user that the namespace does not have.
Status CheckUserIsMapped(const spec::UserNamespace& maps, const spec::ResolvedUser& user);

}  // namespace catamaran
