#pragma once

#include <string>

#include "cri/config/config.h"
#include "sandbox/base/result.h"

namespace catamaran {

// `catamaran image load|pull|list`. One process owns the image store: where a daemon serves this
// root the work is handed to it, else the store is opened here. Results go to standard output,
// progress to standard error.
Status ImageLoadCommand(const Config& config, const std::string& source,
                        const std::string& reference);
struct PullFlags {
  std::string reference;
  std::string username;
  bool password_from_stdin = false;  // a password on the command line would be for all to see
  std::string auth_file;             // docker's config.json
};
Status ImagePullCommand(const Config& config, const PullFlags& flags);
Status ImageListCommand(const Config& config);

}  // namespace catamaran
