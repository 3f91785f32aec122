#include "cri/streaming/process_session.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "cri/streaming/session_left.h"

namespace catamaran {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;

constexpr std::chrono::seconds kStreamsLimit{30};
constexpr int kFirstWithResize = 3;

}  // namespace

ProcessSession::ProcessSession(boost::asio::io_context& io, StreamConnection& connection,
                               StreamedProcess& process, StreamWants wants, int version,
                               std::function<void()> done)
    : io_(io),
      connection_(connection),
      process_(process),
      wants_(wants),
      version_(version),
      done_(std::move(done)),
      streams_limit_(io, kStreamsLimit),
      ended_fd_(io) {
  streams_limit_.async_wait([this](error_code error) {
    if (!error) connection_.Abort();
  });
}

bool ProcessSession::Is(const char* type, uint32_t stream) const {
  const auto found = streams_.find(type);
  return found != streams_.end() && found->second == stream;
}

bool ProcessSession::OnOpen(uint32_t stream, const StreamConnection::Headers& headers) {
  const auto type = headers.find("streamtype");
  if (begun_ || type == headers.end()) return false;
  const bool wanted = type->second == "error" || (type->second == "stdin" && wants_.in) ||
                      (type->second == "stdout" && wants_.out) ||
                      (type->second == "stderr" && wants_.err) ||
                      (type->second == "resize" && wants_.terminal);
  if (!wanted) return true;  // it stays without a word, as with the reference server
  if (!streams_.emplace(type->second, stream).second) return false;
  const bool counts_resize = wants_.terminal && version_ >= kFirstWithResize;
  const size_t expected =
      size_t{1} + (wants_.in ? 1 : 0) + (wants_.out ? 1 : 0) + (wants_.err ? 1 : 0);
  const size_t there = streams_.size() - (streams_.contains("resize") ? 1 : 0);
  if (there < expected || (counts_resize && !streams_.contains("resize"))) return true;
  begun_ = true;
  boost::asio::post(io_, [this] { Begin(); });  // the stream is to be answered first
  return true;
}

void ProcessSession::Begin() {
  streams_limit_.cancel();
  if (client_gone_) return done_();
  auto ends = process_.Open();
  if (!ends) return Finish(StatusOfError(version_, ends.error()));
  Connect(std::move(*ends));
}

std::unique_ptr<DescriptorSource> ProcessSession::Source(UniqueFd fd, const char* type) {
  if (!fd.valid()) return nullptr;
  const auto stream = streams_.find(type);
  const bool wanted = stream != streams_.end();
  auto source = std::make_unique<DescriptorSource>(
      io_, std::move(fd), connection_, wanted ? stream->second : 0, [this] { FinishIfEnded(); });
  if (!wanted) source->Discard();
  return source;
}

void ProcessSession::Connect(StreamedProcess::Ends ends) {
  if (ends.in.valid()) {
    in_ = std::make_unique<DescriptorSink>(io_, std::move(ends.in), DescriptorSink::AtEnd::kClose,
                                           [this] {
                                             connection_.PauseReading(in_->full());
                                             if (in_->ended()) TellInputEnd();
                                           });
    in_->Write(std::exchange(early_input_, {}));
    if (early_end_) in_->End();
  }
  connected_ = true;
  if (early_size_) (void)process_.Resize(early_size_->columns, early_size_->rows);
  out_ = Source(std::move(ends.out), "stdout");
  err_ = Source(std::move(ends.err), "stderr");
  if (process_.ended_fd() < 0) return;
  const int copy = fcntl(process_.ended_fd(), F_DUPFD_CLOEXEC, 0);
  error_code error;
  if (copy >= 0) ended_fd_.assign(copy, error);
  if (copy < 0 || error) return OnProcessEnd();
  ended_fd_.async_wait(stream_descriptor::wait_read, [this](error_code failed) {
    if (!failed) OnProcessEnd();
  });
}

void ProcessSession::TellInputEnd() {
  if (!std::exchange(input_ended_, true)) process_.OnInputEnd();
}

void ProcessSession::OnData(uint32_t stream, std::string_view bytes) {
  if (Is("stdin", stream)) {
    if (in_) in_->Write(bytes);
    if (!connected_ && early_input_.size() < kClientRoom) early_input_ += bytes;
  }
  if (!Is("resize", stream) || finished_) return;
  const auto size = sizes_.Read(bytes);
  if (!size) return;
  if (connected_)
    (void)process_.Resize(size->columns, size->rows);
  else
    early_size_ = size;
}

void ProcessSession::OnEnd(uint32_t stream) {
  if (!Is("stdin", stream)) return;
  early_end_ = true;
  if (in_) in_->End();
}

void ProcessSession::OnReset(uint32_t stream) {
  OnEnd(stream);
  if (out_ && Is("stdout", stream)) out_->Discard();
  if (err_ && Is("stderr", stream)) err_->Discard();
}

void ProcessSession::OnRoom() {
  for (const auto& source : {out_.get(), err_.get()})
    if (source != nullptr) source->OnRoom();
}

void ProcessSession::OnProcessEnd() {
  process_ended_ = true;
  for (const auto& source : {out_.get(), err_.get()})
    if (source != nullptr) source->EndWhenQuiet();
  FinishIfEnded();
}

void ProcessSession::FinishIfEnded() {
  if (finished_ || (out_ && !out_->ended()) || (err_ && !err_->ended())) return;
  if (process_.ended_fd() < 0) return Finish(StatusOfExit(version_, 0));
  if (!process_ended_) return;
  const auto code = process_.ExitCode();
  Finish(code ? StatusOfExit(version_, *code) : StatusOfError(version_, code.error()));
}

void ProcessSession::Finish(const std::string& status) {
  finished_ = true;
  if (client_gone_) return done_();
  connection_.Send(streams_.at("error"), status);
  connection_.Finish();
}

void ProcessSession::OnClosed() {
  client_gone_ = true;
  switch (LeftWithoutClient({.begun = begun_,
                             .connected = connected_,
                             .finished = finished_,
                             .attached = connected_ && process_.ended_fd() < 0})) {
    case SessionLeft::kNothing:
      if (in_ && !finished_) TellInputEnd();
      return done_();
    case SessionLeft::kStart:
      return;
    case SessionLeft::kProcess:
      break;
  }
  process_.OnClientGone();
  if (in_) in_->End();
  for (const auto& source : {out_.get(), err_.get()})
    if (source != nullptr) source->Discard();
}

}  // namespace catamaran
