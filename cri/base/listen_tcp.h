#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran {

// Has `acceptor` listen on an IP address, without brackets, and a port (0: the kernel chooses).
// Errors begin with the configuration's key: kInvalidArgument where the address is none,
// kUnavailable where it cannot be listened on.
Status ListenTcp(const std::string& key, const std::string& address, uint16_t port,
                 boost::asio::ip::tcp::acceptor* acceptor);

}  // namespace catamaran
