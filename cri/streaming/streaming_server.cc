#include "cri/streaming/streaming_server.h"

#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <system_error>
#include <thread>

#include "cri/base/listen_tcp.h"
#include "cri/base/text.h"
#include "cri/streaming/stream_client.h"

namespace catamaran {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// After accept(2) failed, as where there are no descriptors left.
constexpr std::chrono::milliseconds kPause{100};

class Server final : public StreamingServer {
 public:
  explicit Server(std::chrono::seconds idle) : idle_(idle), acceptor_(io_), pause_(io_) {}
  ~Server() override;
  Status Listen(const Options& options);
  Result<std::string> Offer(StreamTicket ticket) override;

 private:
  struct Client {
    Client(int socket, bool ipv6, StreamTokens& tokens, std::chrono::seconds idle)
        : client(socket, ipv6, tokens, idle) {}
    StreamClient client;
    std::atomic<bool> over = false;
    std::thread thread;
  };
  void Accept();
  void Serve(tcp::socket socket);
  void JoinThoseOver();

  const std::chrono::seconds idle_;
  StreamTokens tokens_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::string base_;  // "http://127.0.0.1:4711"
  bool ipv6_ = false;
  std::list<Client> clients_;  // the acceptor's thread alone
  std::thread thread_;
};

Server::~Server() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
  for (Client& client : clients_) client.client.Stop();
  for (Client& client : clients_) client.thread.join();
}

Status Server::Listen(const Options& options) {
  RETURN_IF_ERROR(ListenTcp("streaming.address", options.address, options.port, &acceptor_));
  error_code error;
  const tcp::endpoint at = acceptor_.local_endpoint(error);
  ipv6_ = at.address().is_v6();
  base_ = "http://" + HostAndPort(at.address().to_string(), at.port());
  Accept();
  thread_ = std::thread([this] { io_.run(); });
  return {};
}

Result<std::string> Server::Offer(StreamTicket ticket) {
  ASSIGN_OR_RETURN(const std::string path, tokens_.Add(std::move(ticket)));
  return base_ + path;
}

void Server::JoinThoseOver() {
  for (auto client = clients_.begin(); client != clients_.end();) {
    if (!client->over) {
      ++client;
      continue;
    }
    client->thread.join();
    client = clients_.erase(client);
  }
}

void Server::Accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (!error) {
      Serve(std::move(socket));
      return Accept();
    }
    pause_.expires_after(kPause);
    pause_.async_wait([this](error_code) { Accept(); });
  });
}

void Server::Serve(tcp::socket socket) {
  error_code error;
  if (clients_.size() >= kMostClients) {
    static constexpr std::string_view kFull =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 35\r\n\r\n"
        "too many streaming sessions are on\n";
    socket.send(asio::buffer(kFull), 0, error);
    return;
  }
  const int descriptor = socket.release(error);
  if (error) return;
  Client& client = clients_.emplace_back(descriptor, ipv6_, tokens_, idle_);
  try {
    client.thread = std::thread([this, &client] {
      client.client.Run();
      client.over = true;
      asio::post(io_, [this] { JoinThoseOver(); });
    });
  } catch (const std::system_error&) {
    clients_.pop_back();  // closes it; the client may try again
  }
}

}  // namespace

Result<std::unique_ptr<StreamingServer>> StreamingServer::Start(const Options& options) {
  auto server = std::make_unique<Server>(options.idle);
  RETURN_IF_ERROR(server->Listen(options));
  return server;
}

}  // namespace catamaran
