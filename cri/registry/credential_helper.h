#pragma once

#include <optional>
#include <string>

#include "cri/registry/credentials.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Asks the program docker-credential-<name> for the credentials of `server`, by the protocol of
// docker/docker-credential-helpers: "get" as its argument, the server on standard input, JSON on
// standard output. nullopt where it says that it has none. `search_path`: folders joined by ':',
// of which only absolute ones count. It runs for at most half a minute; then it is killed with all
// that it started. kInvalidArgument for a name that is no file name, kPermissionDenied where the
// program is missing or fails, kDeadlineExceeded where the caller's time is over. Nothing that it
// printed is in an error: it may be a secret.
Result<std::optional<Credentials>> AskCredentialHelper(const std::string& name,
                                                       const std::string& server,
                                                       const std::string& search_path,
                                                       Deadline deadline);

}  // namespace catamaran
