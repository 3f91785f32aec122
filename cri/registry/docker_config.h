#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cri/registry/credentials.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// Where a docker config.json has the credentials for a registry: in itself, with a helper, nowhere.
struct DockerConfigAnswer {
  std::optional<Credentials> credentials;
  std::string helper;  // "ecr-login", of docker-credential-ecr-login; empty: none
  std::string server;  // what the helper is asked for
  std::string field;   // that names the helper, for errors
};

// A registry's own helper (credHelpers) comes before what the file holds (auths), and that before
// the helper for all (credsStore). kInvalidArgument where the file is malformed.
Result<DockerConfigAnswer> ReadDockerConfig(std::string_view text, const std::string& file_name,
                                            const std::string& host);

// The credentials that the file, or the helper that it names, has for the registry `host`; nullopt
// where they have none. Reads the file, may run a program: blocks. `helper_path` as in
// AskCredentialHelper, whose errors it has too; empty: this process's PATH.
Result<std::optional<Credentials>> CredentialsFromDockerConfig(const HostPath& file,
                                                               const std::string& host,
                                                               const std::string& helper_path,
                                                               Deadline deadline);

}  // namespace catamaran
