#include "cri/streaming/spdy_connection.h"

#include <boost/asio/post.hpp>

namespace catamaran {
namespace {

// Of one client at a time; kubectl port-forward opens two for each of its connections.
constexpr size_t kMostStreams = 1024;
// After the goodbye the client's last bytes are read and dropped: closing a socket with unread
// bytes resets the connection, and what the client had not read yet would be lost.
constexpr std::chrono::seconds kLinger{2};

}  // namespace

void SpdyConnection::Start(Listener& listener) {
  listener_ = &listener;
  Read();
}

void SpdyConnection::Read() {
  if (reading_ || paused_ || closed_) return;
  reading_ = true;
  bytes_->Read([this](std::string_view bytes) {
    OnBytes(bytes);
    reading_ = false;  // not before: the next read overwrites these bytes
    Read();
  });
}

void SpdyConnection::OnBytes(std::string_view bytes) {
  if (closed_) return;
  if (bytes.empty()) return Close();
  last_activity_ = Clock::now();
  if (!ended_ && !decoder_.Decode(bytes, [this](const SpdyFrame& frame) { OnFrame(frame); }))
    Close();
}

void SpdyConnection::OnFrame(const SpdyFrame& frame) {
  if (closed_ || finishing_) return;
  switch (frame.type) {
    case SpdyFrame::Type::kData:
      return OnData(frame);
    case SpdyFrame::Type::kSynStream:
      return OnSynStream(frame);
    case SpdyFrame::Type::kReset:
      if (streams_.erase(frame.stream) > 0) listener_->OnReset(frame.stream);
      return;
    case SpdyFrame::Type::kPing:
      if (frame.value % 2 == 0) return;  // the answer to one of ours: there is none
      encoder_.Ping(frame.value, &queued_);
      return Flush();
    case SpdyFrame::Type::kSynReply:
    case SpdyFrame::Type::kGoAway:  // its end of the connection follows
    case SpdyFrame::Type::kOther:
      return;
  }
}

void SpdyConnection::OnData(const SpdyFrame& frame) {
  const auto found = streams_.find(frame.stream);
  if (found == streams_.end() || found->second.client_ended) return;
  if (!frame.data.empty()) listener_->OnData(frame.stream, frame.data);
  if (!frame.end) return;
  const auto still = streams_.find(frame.stream);
  if (still == streams_.end()) return;
  still->second.client_ended = true;
  listener_->OnEnd(frame.stream);
  ForgetIfEnded(frame.stream);
}

void SpdyConnection::OnSynStream(const SpdyFrame& frame) {
  const uint32_t stream = frame.stream;
  const bool valid = stream % 2 == 1 && stream > last_stream_;
  if (!valid || streams_.size() >= kMostStreams) {
    encoder_.Reset(stream, valid ? kSpdyRefused : kSpdyProtocolError, &queued_);
    return Flush();
  }
  last_stream_ = stream;
  streams_[stream] = {};
  if (!listener_->OnOpen(stream, frame.headers)) {
    streams_.erase(stream);
    encoder_.Reset(stream, kSpdyCancel, &queued_);
    return Flush();
  }
  encoder_.SynReply(stream, &queued_);
  Flush();
  if (!frame.end) return;
  streams_[stream].client_ended = true;
  listener_->OnEnd(stream);
}

void SpdyConnection::Send(uint32_t stream, std::string_view bytes) {
  const auto found = streams_.find(stream);
  if (closed_ || bytes.empty() || found == streams_.end() || found->second.ended) return;
  encoder_.Data(stream, bytes, false, &queued_);
  Flush();
}

void SpdyConnection::End(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (closed_ || found == streams_.end() || found->second.ended) return;
  encoder_.Data(stream, "", true, &queued_);
  found->second.ended = true;
  ForgetIfEnded(stream);
  Flush();
}

void SpdyConnection::Reset(uint32_t stream) {
  if (closed_ || streams_.erase(stream) == 0) return;
  encoder_.Reset(stream, kSpdyCancel, &queued_);
  Flush();
}

void SpdyConnection::ForgetIfEnded(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found != streams_.end() && found->second.ended && found->second.client_ended)
    streams_.erase(found);
}

void SpdyConnection::PauseReading(bool paused) {
  paused_ = paused;
  Read();
}

void SpdyConnection::Flush() {
  if (queued_.size() > kMostQueued) return Abort();
  if (!writing_.empty() || queued_.empty() || closed_) return;
  writing_.swap(queued_);
  bytes_->Write(writing_, [this](bool written) { OnWritten(written); });
}

void SpdyConnection::OnWritten(bool written) {
  if (closed_) return;
  if (!written) return Close();
  last_activity_ = Clock::now();
  const bool had_room = HasRoom();
  writing_.clear();
  Flush();
  if (finishing_ && writing_.empty() && !ended_) {
    ended_ = true;
    bytes_->EndWriting();
    linger_.expires_after(kLinger);
    linger_.async_wait([this](boost::system::error_code error) {
      if (!error && !closed_) Close();
    });
  }
  if (!had_room && HasRoom() && !finishing_) listener_->OnRoom();
}

void SpdyConnection::Finish() {
  if (closed_ || finishing_) return;
  finishing_ = true;
  paused_ = false;
  for (const auto& [stream, state] : streams_)
    if (!state.ended) encoder_.Data(stream, "", true, &queued_);
  encoder_.GoAway(last_stream_, &queued_);
  Flush();
  Read();
}

void SpdyConnection::Abort() {
  boost::asio::post(io_, [this] {
    if (!closed_) Close();
  });
}

void SpdyConnection::Close() {
  closed_ = true;
  bytes_->Close();
  listener_->OnClosed();
}

}  // namespace catamaran
