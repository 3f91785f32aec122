#pragma once

#include <cstdint>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

// The plainest client of a streaming URL there is, so that what is measured is the server:
// SPDY/3.1, bytes are counted and dropped. Both block until the server has sent all.

// Standard output of an Exec; an error where its status is none of success.
Result<uint64_t> DownloadExec(const std::string& url);
// What a server behind a port sends to one connection.
Result<uint64_t> DownloadPort(const std::string& url, uint16_t port);

}  // namespace catamaran::e2e
