#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cri/streaming/descriptor_pumps.h"
#include "cri/streaming/stream_connection.h"
#include "cri/streaming/stream_target.h"

namespace catamaran {

// PortForward: of every pair of streams, error and data, the second is joined to a connection to a
// port of the pod. What goes wrong with one is told on its error stream; the others go on.
class ForwardSession final : public StreamConnection::Listener {
 public:
  // most_pairs: after the end of so many the session finishes; 0: it is the client who ends it.
  // done: once. All outlive the session.
  ForwardSession(boost::asio::io_context& io, StreamConnection& connection, PortTarget& target,
                 size_t most_pairs, std::function<void()> done)
      : io_(io),
        connection_(connection),
        target_(target),
        most_pairs_(most_pairs),
        done_(std::move(done)) {}

  bool OnOpen(uint32_t stream, const StreamConnection::Headers& headers) override;
  void OnData(uint32_t stream, std::string_view bytes) override;
  void OnEnd(uint32_t stream) override;
  void OnReset(uint32_t stream) override;
  void OnRoom() override;
  void OnClosed() override { done_(); }

 private:
  struct Pair {
    explicit Pair(boost::asio::io_context& io) : limit(io) {}
    std::string id;
    uint16_t port = 0;
    std::optional<uint32_t> data, error;
    boost::asio::steady_timer limit;  // for the other stream to come
    std::unique_ptr<DescriptorSource> source;
    std::unique_ptr<DescriptorSink> sink;
    std::string early_data;  // what came before the connection was made
    bool client_ended = false, server_ended = false;
  };
  using PairPointer = std::shared_ptr<Pair>;

  PairPointer PairOf(const std::string& id, uint16_t port);
  PairPointer FindByData(uint32_t stream) const;
  bool Has(const PairPointer& pair) const;
  void AwaitOther(const PairPointer& pair);
  void Dial(const PairPointer& pair);
  void Connect(const PairPointer& pair, UniqueFd socket);
  void Fail(const PairPointer& pair, const std::string& why);
  void OnServerEnd(const PairPointer& pair);
  void UpdateReading();
  // Nothing where it was dropped already. By value: the table's own pointer goes with its entry.
  void Drop(PairPointer pair);

  boost::asio::io_context& io_;
  StreamConnection& connection_;
  PortTarget& target_;
  const size_t most_pairs_;
  const std::function<void()> done_;
  std::map<std::string, PairPointer> pairs_;  // by request id
  size_t over_ = 0;
};

}  // namespace catamaran
