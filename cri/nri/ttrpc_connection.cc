#include "cri/nri/ttrpc_connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "cri/nri/ttrpc.pb.h"

namespace catamaran {
namespace {

// A peer that sends more calls than it waits for answers to is no plugin.
constexpr size_t kMostRequests = 64;
// A peer gets this long to read an answer.
constexpr std::chrono::seconds kRespondLimit{5};
constexpr int kLastCode = 16;  // of gRPC

ErrorCode CodeOf(int32_t code) {
  if (code < static_cast<int>(ErrorCode::kUnknown) || code >= kLastCode) return ErrorCode::kUnknown;
  return static_cast<ErrorCode>(code);
}

}  // namespace

TtrpcConnection::TtrpcConnection(UniqueFd socket, Options options)
    : socket_(std::move(socket)), options_(std::move(options)) {}

TtrpcConnection::~TtrpcConnection() {
  Close();
  if (reader_.joinable()) reader_.join();
  if (server_.joinable()) server_.join();
}

void TtrpcConnection::Start() {
  reader_ = std::thread([this] { Read(); });
  server_ = std::thread([this] { Serve(); });
}

void TtrpcConnection::Close() { CloseBecause(""); }

void TtrpcConnection::CloseBecause(const std::string& reason) {
  std::lock_guard lock(mutex_);
  if (closed_.exchange(true)) return;
  reason_ = reason;
  shutdown(socket_.get(), SHUT_RDWR);  // wakes the reader and whoever sends
  changed_.notify_all();
}

std::string TtrpcConnection::reason() const {
  std::lock_guard lock(mutex_);
  return reason_;
}

void TtrpcConnection::Read() {
  FrameReader frames;
  std::array<char, 64 << 10> buffer;
  while (!closed_) {
    const ssize_t count = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd readable{socket_.get(), POLLIN, 0};
      poll(&readable, 1, -1);
      continue;
    }
    if (count <= 0) break;
    std::vector<TtrpcMessage> messages;
    auto fed = frames.Feed({buffer.data(), static_cast<size_t>(count)}, &messages);
    for (TtrpcMessage& message : messages) {
      if (auto handled = Handle(std::move(message)); !handled) fed = std::move(handled);
    }
    if (!fed) CloseBecause(fed.error().message);
  }
  Close();
  if (options_.on_closed) options_.on_closed();
}

Status TtrpcConnection::Handle(TtrpcMessage message) {
  std::lock_guard lock(mutex_);
  if (message.connection == options_.calls_on && message.type == kTtrpcResponse) {
    auto found = waiting_.find(message.stream);
    if (found == waiting_.end()) return {};  // of a call that was given up
    found->second->done = true;
    found->second->response = std::move(message.payload);
    waiting_.erase(found);
    changed_.notify_all();
    return {};
  }
  // Other types are for versions to come.
  if (message.connection != options_.serves_on || message.type != kTtrpcRequest) return {};
  if (requests_.size() >= kMostRequests)
    return Fail(ErrorCode::kResourceExhausted, "more than {} calls at once", kMostRequests);
  requests_.push_back(std::move(message));
  changed_.notify_all();
  return {};
}

void TtrpcConnection::Serve() {
  while (true) {
    TtrpcMessage message;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !requests_.empty(); });
      if (closed_) return;
      message = std::move(requests_.front());
      requests_.pop_front();
    }
    ttrpc::Request request;
    Result<std::string> result =
        request.ParseFromString(message.payload)
            ? options_.serve(request.service(), request.method(), request.payload())
            : Fail(ErrorCode::kInvalidArgument, "this is no ttRPC request");
    if (auto sent = Respond(message.stream, result); !sent) CloseBecause(sent.error().message);
  }
}

Status TtrpcConnection::Respond(uint32_t stream, const Result<std::string>& result) {
  ttrpc::Response response;
  response.mutable_status()->set_code(0);
  if (result) {
    response.set_payload(*result);
  } else {
    response.mutable_status()->set_code(static_cast<int>(result.error().code));
    response.mutable_status()->set_message(result.error().message);
  }
  return Send({options_.serves_on, stream, kTtrpcResponse, 0, response.SerializeAsString()},
              Deadline::After(kRespondLimit));
}

Status TtrpcConnection::Send(const TtrpcMessage& message, Deadline deadline) {
  ASSIGN_OR_RETURN(const std::string bytes, EncodeTtrpcMessage(message));
  std::unique_lock lock(send_mutex_, std::defer_lock);
  if (!lock.try_lock_until(deadline.at()))
    return Fail(ErrorCode::kDeadlineExceeded, "the peer does not read");
  return SendBytes(bytes, deadline);
}

// The caller has send_mutex_. After an error a part may have gone: the connection is of no use.
Status TtrpcConnection::SendBytes(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (closed_) return Fail(ErrorCode::kUnavailable, "the connection is closed");
    const ssize_t count =
        send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return Fail(ErrorCode::kUnavailable, "the connection is closed");
    if (deadline.expired()) return Fail(ErrorCode::kDeadlineExceeded, "the peer does not read");
    pollfd writable{socket_.get(), POLLOUT, 0};
    poll(&writable, 1, static_cast<int>(deadline.Remaining().count()));
  }
  return {};
}

Result<uint32_t> TtrpcConnection::SendRequest(const std::string& envelope,
                                              const std::shared_ptr<Waiting>& waiting,
                                              Deadline deadline) {
  std::unique_lock sending(send_mutex_, std::defer_lock);
  if (!sending.try_lock_until(deadline.at()))
    return Fail(ErrorCode::kDeadlineExceeded, "the peer does not read");
  TtrpcMessage message{options_.calls_on, next_stream_, kTtrpcRequest, 0, envelope};
  ASSIGN_OR_RETURN(const std::string bytes, EncodeTtrpcMessage(message));
  next_stream_ += 2;  // those of the side that calls are odd
  {
    std::lock_guard lock(mutex_);
    waiting_[message.stream] = waiting;
  }
  if (auto sent = SendBytes(bytes, deadline); !sent) {
    CloseBecause(sent.error().message);
    return tl::unexpected(std::move(sent).error());
  }
  return message.stream;
}

Result<TtrpcConnection::Answer> TtrpcConnection::Call(const std::string& service,
                                                      const std::string& method,
                                                      const std::string& payload,
                                                      Deadline deadline) {
  if (closed_) return Fail(ErrorCode::kUnavailable, "the connection is closed");
  ttrpc::Request request;
  request.set_service(service);
  request.set_method(method);
  request.set_payload(payload);
  request.set_timeout_nano(
      std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.Remaining()).count());
  auto waiting = std::make_shared<Waiting>();
  ASSIGN_OR_RETURN(const uint32_t stream,
                   SendRequest(request.SerializeAsString(), waiting, deadline));
  std::string bytes;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline.at(), [&] { return waiting->done || closed_; });
    waiting_.erase(stream);
    if (!waiting->done && closed_) return Fail(ErrorCode::kUnavailable, "the connection is closed");
    if (!waiting->done) return Fail(ErrorCode::kDeadlineExceeded, "no answer in time");
    bytes = std::move(waiting->response);
  }
  ttrpc::Response response;
  if (!response.ParseFromString(bytes)) {
    CloseBecause("an answer that is no ttRPC response");
    return Fail(ErrorCode::kUnavailable, "an answer that is no ttRPC response");
  }
  return Answer{.code = CodeOf(response.status().code()),
                .refused = response.status().code() != 0,
                .message = response.status().message(),
                .payload = std::move(*response.mutable_payload())};
}

}  // namespace catamaran
