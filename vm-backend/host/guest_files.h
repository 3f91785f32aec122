#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// What a handler's file is, by its first bytes: "Linux 6.1.0-…, 8.2 MB". The error says why it
// cannot be what the configuration takes it for.
Result<std::string> LookAtKernel(const std::string& path);
Result<std::string> LookAtInitramfs(const std::string& path);
Result<std::string> LookAtWritableDisk(const std::string& path);

}  // namespace catamaran
