#include "cri/streaming/forward_session.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

namespace catamaran {
namespace {

constexpr std::chrono::seconds kPairLimit{30};

std::optional<uint16_t> ParsePort(const std::string& text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::string Header(const StreamConnection::Headers& headers, const char* name) {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

}  // namespace

bool ForwardSession::OnOpen(uint32_t stream, const StreamConnection::Headers& headers) {
  const std::string type = Header(headers, "streamtype");
  const auto port = ParsePort(Header(headers, "port"));
  if (!port || (type != "data" && type != "error")) return false;
  std::string id = Header(headers, "requestid");
  // Old clients open the error stream right before the data stream and name no request.
  if (id.empty()) id = std::to_string(type == "error" ? stream : stream - 2);
  const PairPointer pair = PairOf(id, *port);
  std::optional<uint32_t>& place = type == "data" ? pair->data : pair->error;
  if (place || pair->port != *port) return false;
  place = stream;
  if (!pair->data || !pair->error) return true;
  pair->limit.cancel();
  boost::asio::post(io_, [this, weak = std::weak_ptr<Pair>(pair)] {
    if (const auto still = weak.lock(); still && Has(still)) Dial(still);
  });
  return true;
}

ForwardSession::PairPointer ForwardSession::PairOf(const std::string& id, uint16_t port) {
  PairPointer& pair = pairs_[id];
  if (!pair) {
    pair = std::make_shared<Pair>(io_);
    pair->id = id;
    pair->port = port;
    AwaitOther(pair);
  }
  return pair;
}

void ForwardSession::AwaitOther(const PairPointer& pair) {
  pair->limit.expires_after(kPairLimit);
  pair->limit.async_wait([this, weak = std::weak_ptr<Pair>(pair)](boost::system::error_code error) {
    const auto late = weak.lock();
    if (error || !late || (late->data && late->error)) return;
    Fail(late, fmt::format("request {} timed out waiting for its streams", late->id));
  });
}

ForwardSession::PairPointer ForwardSession::FindByData(uint32_t stream) const {
  const auto found = std::find_if(pairs_.begin(), pairs_.end(), [stream](const auto& entry) {
    return entry.second->data == stream;
  });
  return found == pairs_.end() ? nullptr : found->second;
}

void ForwardSession::Dial(const PairPointer& pair) {
  auto socket = target_.Dial(pair->port);
  if (!socket) return Fail(pair, socket.error().message);
  Connect(pair, std::move(*socket));
}

void ForwardSession::Connect(const PairPointer& pair, UniqueFd socket) {
  UniqueFd other(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!other.valid()) return Fail(pair, FailWithErrno("duplicate a socket").value().message);
  pair->sink = std::make_unique<DescriptorSink>(
      io_, std::move(socket), DescriptorSink::AtEnd::kShutDown, [this] { UpdateReading(); });
  pair->source = std::make_unique<DescriptorSource>(io_, std::move(other), connection_, *pair->data,
                                                    [this, weak = std::weak_ptr<Pair>(pair)] {
                                                      if (const auto still = weak.lock())
                                                        OnServerEnd(still);
                                                    });
  pair->sink->Write(std::exchange(pair->early_data, {}));
  if (pair->client_ended) pair->sink->End();
}

void ForwardSession::Fail(const PairPointer& pair, const std::string& why) {
  if (pair->error) {
    connection_.Send(*pair->error,
                     fmt::format("error forwarding port {} to the pod: {}", pair->port, why));
    connection_.End(*pair->error);
  }
  if (pair->data) connection_.Reset(*pair->data);
  Drop(pair);
}

void ForwardSession::OnServerEnd(const PairPointer& pair) {
  if (!Has(pair)) return;  // dropped; its pumps end by themselves
  pair->server_ended = true;
  connection_.End(*pair->data);
  connection_.End(*pair->error);
  // What numbers its channels has no word for the end of one.
  if (pair->client_ended || pair->sink->ended() || most_pairs_ > 0) Drop(pair);
}

bool ForwardSession::Has(const PairPointer& pair) const {
  const auto found = pairs_.find(pair->id);
  return found != pairs_.end() && found->second == pair;
}

void ForwardSession::Drop(PairPointer pair) {
  if (!Has(pair)) return;
  pairs_.erase(pair->id);
  boost::asio::post(io_, [pair] {});  // one of its pumps may have called
  UpdateReading();
  if (most_pairs_ > 0 && ++over_ == most_pairs_) connection_.Finish();
}

void ForwardSession::OnData(uint32_t stream, std::string_view bytes) {
  const PairPointer pair = FindByData(stream);
  if (!pair) return;
  if (pair->sink)
    pair->sink->Write(bytes);
  else if (pair->early_data.size() < kClientRoom)
    pair->early_data += bytes;
}

void ForwardSession::OnEnd(uint32_t stream) {
  const PairPointer pair = FindByData(stream);
  if (!pair) return;
  pair->client_ended = true;
  if (pair->sink) pair->sink->End();
  if (pair->server_ended) Drop(pair);
}

void ForwardSession::OnReset(uint32_t stream) {
  if (const PairPointer pair = FindByData(stream)) Drop(pair);
}

void ForwardSession::OnRoom() {
  // A source that ends takes its pair out of the table.
  const auto pairs = pairs_;
  for (const auto& [id, pair] : pairs)
    if (pair->source) pair->source->OnRoom();
}

void ForwardSession::UpdateReading() {
  connection_.PauseReading(std::any_of(pairs_.begin(), pairs_.end(), [](const auto& entry) {
    return entry.second->sink && entry.second->sink->full();
  }));
}

}  // namespace catamaran
