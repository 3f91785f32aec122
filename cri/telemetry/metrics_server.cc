#include "cri/telemetry/metrics_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <future>
#include <mutex>
#include <thread>

#include "cri/base/listen_tcp.h"
#include "cri/base/text.h"
#include "cri/telemetry/metrics_session.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using asio::ip::tcp;
using asio::local::stream_protocol;
using boost::system::error_code;
using TlsContext = std::shared_ptr<ssl::context>;

// After accept(2) failed, as where there are no descriptors left.
constexpr std::chrono::milliseconds kPause{100};

// OpenSSL says of a file that is not there only that there was an error.
Status CheckReadable(const char* key, const HostPath& file) {
  constexpr size_t kLargestFile = 1 << 20;
  if (auto text = ReadFile(file.value(), kLargestFile); !text)
    return Fail(ErrorCode::kInvalidArgument, "metrics.tls.{}: {}", key, text.error().message);
  return {};
}

Result<TlsContext> MakeTls(const MetricsConfig& config) {
  if (config.certificate.empty()) return TlsContext();
  RETURN_IF_ERROR(CheckReadable("certificate", config.certificate));
  RETURN_IF_ERROR(CheckReadable("key", config.key));
  if (!config.client_ca.empty()) RETURN_IF_ERROR(CheckReadable("client_ca", config.client_ca));
  auto tls = std::make_shared<ssl::context>(ssl::context::tls_server);
  error_code error;
  const auto failed = [&](const char* key, const HostPath& file) {
    return Fail(ErrorCode::kInvalidArgument, "metrics.tls.{}: '{}' cannot be used: {}", key,
                file.string(), error.message());
  };
  tls->set_options(
      ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, error);
  tls->use_certificate_chain_file(config.certificate.string(), error);
  if (error) return failed("certificate", config.certificate);
  tls->use_private_key_file(config.key.string(), ssl::context::pem, error);
  if (error) return failed("key", config.key);
  if (config.client_ca.empty()) return tls;
  tls->load_verify_file(config.client_ca.string(), error);
  if (error) return failed("client_ca", config.client_ca);
  tls->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  return tls;
}

// What is served on TCP.
struct Door {
  Door(asio::io_context& io, MetricsConfig config, TlsContext tls)
      : config(std::move(config)), tls(std::move(tls)), acceptor(io), pause(io) {}
  const MetricsConfig config;
  TlsContext tls;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
};

class Server final : public MetricsServer {
 public:
  explicit Server(Producer produce) : produce_(std::move(produce)), local_(io_), pause_(io_) {}
  ~Server() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    if (!socket_.empty()) unlink(socket_.c_str());
  }

  Status Listen(const HostPath& socket, const MetricsConfig& config) {
    error_code error;
    unlink(socket.c_str());
    local_.open(stream_protocol(), error);
    if (!error) local_.bind(stream_protocol::endpoint(socket.string()), error);
    if (!error) local_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return Fail(ErrorCode::kUnavailable, "listen on {}: {}", socket.string(), error.message());
    }
    socket_ = socket;
    if (chmod(socket.c_str(), 0600) != 0) return FailWithErrno("chmod {}", socket.string());
    AcceptLocal();  // before the thread: one that finds nothing to wait for ends
    thread_ = std::thread([this] { io_.run(); });
    return Replace(config);
  }

  Status Replace(const MetricsConfig& config) override {
    const std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(TlsContext tls, MakeTls(config));
    std::shared_ptr<Door> door;
    if (!config.address.empty()) door = std::make_shared<Door>(io_, config, tls);
    const bool same_place = door && door_ && door_->config.address == config.address &&
                            door_->config.port == config.port;
    if (door && !same_place)
      RETURN_IF_ERROR(ListenTcp("metrics.address", config.address, config.port, &door->acceptor));
    std::promise<void> done;
    asio::post(io_, [&] {  // nobody else touches what is accepted from
      error_code ignored;
      if (same_place) {
        door_->tls = tls;
      } else {
        if (door_) door_->acceptor.close(ignored);
        door_ = door;
        if (door_) AcceptTcp(door_);
      }
      url_ = door_ ? UrlOf(*door_) : "";
      done.set_value();
    });
    done.get_future().wait();
    return {};
  }

  std::string url() const override {
    const std::lock_guard lock(mutex_);
    return url_;
  }

 private:
  static std::string UrlOf(const Door& door) {
    error_code error;
    const tcp::endpoint at = door.acceptor.local_endpoint(error);
    return fmt::format("{}://{}/metrics", door.tls ? "https" : "http",
                       HostAndPort(at.address().to_string(), at.port()));
  }

  void AcceptLocal() {
    local_.async_accept([this](error_code error, stream_protocol::socket socket) {
      if (error) return Pause(pause_, [this] { AcceptLocal(); });
      Serve(LocalStream(std::move(socket)), nullptr);
      AcceptLocal();
    });
  }

  // The last callback of one that was closed finds another one, or none.
  void AcceptTcp(const std::shared_ptr<Door>& door) {
    door->acceptor.async_accept([this, door](error_code error, tcp::socket socket) {
      if (door != door_) return;
      if (error) {
        return Pause(door->pause, [this, door] {
          if (door == door_) AcceptTcp(door);
        });
      }
      if (door->tls)
        Serve(TlsStream(boost::beast::tcp_stream(std::move(socket)), *door->tls), door->tls);
      else
        Serve(boost::beast::tcp_stream(std::move(socket)), nullptr);
      AcceptTcp(door);
    });
  }

  template <typename Next>
  static void Pause(asio::steady_timer& timer, Next next) {
    timer.expires_after(kPause);
    timer.async_wait([next](error_code error) {
      if (!error) next();
    });
  }

  template <typename Stream>
  void Serve(Stream stream, const TlsContext& tls) {
    if (places_.use_count() > kMostClients) return;
    // Both live as long as the session.
    auto kept = std::make_shared<std::pair<std::shared_ptr<int>, TlsContext>>(places_, tls);
    std::make_shared<MetricsSession<Stream>>(std::move(stream), produce_, std::move(kept))->Run();
  }

  const Producer produce_;
  const std::shared_ptr<int> places_ = std::make_shared<int>();  // each client holds a share
  asio::io_context io_{1};
  stream_protocol::acceptor local_;
  asio::steady_timer pause_;
  std::shared_ptr<Door> door_;  // the server's thread alone
  HostPath socket_;
  mutable std::mutex mutex_;  // one Replace at a time; guards url_
  std::string url_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::Start(const HostPath& socket,
                                                            const MetricsConfig& config,
                                                            Producer produce) {
  auto server = std::make_unique<Server>(std::move(produce));
  RETURN_IF_ERROR(server->Listen(socket, config));
  return server;
}

}  // namespace catamaran
