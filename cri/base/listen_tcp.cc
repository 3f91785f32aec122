#include "cri/base/listen_tcp.h"

namespace catamaran {

using boost::asio::ip::tcp;

Status ListenTcp(const std::string& key, const std::string& address, uint16_t port,
                 tcp::acceptor* acceptor) {
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(address, error);
  if (error) return Fail(ErrorCode::kInvalidArgument, "{}: '{}' is no IP address", key, address);
  const tcp::endpoint wanted(ip, port);
  const auto failed = [&](const char* what) {
    return Fail(ErrorCode::kUnavailable, "{}: {} {} port {}: {}", key, what, address, port,
                error.message());
  };
  acceptor->open(wanted.protocol(), error);
  if (error) return failed("open a socket for");
  acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  acceptor->bind(wanted, error);
  if (error) return failed("bind to");
  acceptor->listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return failed("listen on");
  return {};
}

}  // namespace catamaran
