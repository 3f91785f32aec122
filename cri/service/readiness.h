#pragma once

#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// Tells whoever started the daemon that it serves: the service manager (sd_notify(3)'s protocol on
// the socket that $NOTIFY_SOCKET names; does nothing without it) ...
Status NotifyServiceManager(const std::string& state);  // "READY=1", "STOPPING=1"
// ... and a descriptor given on the command line: one line, then it is closed. -1: nobody asked.
Status NotifyReadyFd(int fd);

}  // namespace catamaran
