#include "sandbox/protocol/backend_client.h"

#include <fcntl.h>

#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/backend_server.h"
#include "sandbox/protocol/error_wire.h"
#include "sandbox/protocol/span_wire.h"

namespace catamaran {
namespace {

// Events that came before anybody asked for them.
constexpr size_t kMaxEarlyEvents = 4096;

std::string KeyOf(const spec::ProcessRef& process) {
  return process.container_id() + "/" + process.exec_id();
}

// Unwraps the part of a response that the verb promises.
template <typename T, typename Get, typename Reply>
Result<T> Unwrap(Result<Reply> reply, Get get) {
  if (!reply) return tl::unexpected(std::move(reply).error());
  T* value = get(reply->response);
  if (value == nullptr) return Fail(ErrorCode::kInternal, "the peer answered another verb");
  return std::move(*value);
}

#define CATAMARAN_PART(name)                                            \
  [](pod::Response& response) {                                         \
    return response.has_##name() ? response.mutable_##name() : nullptr; \
  }

}  // namespace

BackendClient::BackendClient(EventLoop& loop, std::unique_ptr<MessageChannel> channel)
    : loop_(loop), channel_(std::move(channel)) {
  if (!channel_->passes_descriptors()) mux_ = std::make_unique<StdioMux>(loop_, *channel_);
}

BackendClient::~BackendClient() = default;

Status BackendClient::Start(UniqueFunction<void(const Error&)> on_closed) {
  on_closed_ = std::move(on_closed);
  MessageChannel::Callbacks callbacks;
  callbacks.on_session = [] {};
  callbacks.on_message = [this](Message message) { OnMessage(std::move(message)); };
  callbacks.on_closed = [this](const Error& error) { OnClosed(error); };
  callbacks.on_room = [this] {
    if (mux_) mux_->OnRoom();
  };
  return channel_->Start(std::move(callbacks));
}

void BackendClient::OnClosed(const Error& error) {
  if (std::exchange(closed_, true)) return;
  close_reason_ = Error{ErrorCode::kUnavailable, error.system_errno, error.message};
  const std::weak_ptr<int> alive = alive_;
  auto pending = std::exchange(pending_, {});
  for (auto& [id, call] : pending) {
    call.done(tl::unexpected(close_reason_));
    if (alive.expired()) return;
  }
  streams_.clear();
  if (mux_) mux_ = std::make_unique<StdioMux>(loop_, *channel_);
  auto on_closed = std::move(on_closed_);
  if (on_closed) on_closed(error);
}

void BackendClient::Call(pod::Request request, std::vector<UniqueFd> fds, ReplyCompletion done,
                         MessageChannel::Order order) {
  if (closed_) return done(tl::unexpected(close_reason_));
  Message message;
  request.set_id(next_id_++);
  const Span span = Span::Current();
  if (span) request.set_traceparent(span.Traceparent());
  message.type = MessageType::kRequest;
  message.body = request.SerializeAsString();
  message.fds = std::move(fds);
  if (auto sent = channel_->Send(std::move(message), order); !sent)
    return done(tl::unexpected(std::move(sent).error()));
  pending_[request.id()] = {std::move(done), span, span ? MonotonicNowNs() : 0};
}

void BackendClient::CallDone(pod::Request request, Done done, MessageChannel::Order order) {
  Call(
      std::move(request), {},
      [done = std::move(done)](Result<Reply> reply) mutable {
        if (!reply) return done(tl::unexpected(std::move(reply).error()));
        done({});
      },
      order);
}

void BackendClient::OnMessage(Message message) {
  switch (message.type) {
    case MessageType::kResponse:
      return OnResponse(std::move(message));
    case MessageType::kEvent: {
      pod::Event event;
      if (!event.ParseFromString(message.body)) return channel_->EndSession();
      return OnEvent(event);
    }
    case MessageType::kRequest:
      return channel_->EndSession();
    default:
      if (mux_ && !mux_->Handle(std::move(message))) channel_->EndSession();
  }
}

void BackendClient::OnResponse(Message message) {
  Reply reply;
  if (!reply.response.ParseFromString(message.body)) return channel_->EndSession();
  auto found = pending_.find(reply.response.id());
  if (found == pending_.end()) return;
  auto [done, span, sent_ns] = std::move(found->second);
  pending_.erase(found);
  reply.fds = std::move(message.fds);
  if (span) AdoptSpans(reply.response.spans(), span, sent_ns, MonotonicNowNs());
  if (reply.response.has_error())
    return done(tl::unexpected(ErrorFromWire(reply.response.error())));
  done(std::move(reply));
}

// An exit waits until its process's output was written: only then may its reader take the end of
// the pipe's contents for the end of the output.
void BackendClient::OnEvent(const pod::Event& event) {
  if (!mux_ || !event.has_exited()) return Deliver(event);
  auto found = streams_.find(KeyOf(event.exited().process()));
  if (found == streams_.end()) return Deliver(event);
  const ProcessStreams streams = std::move(found->second);
  streams_.erase(found);
  if (streams.in != 0) mux_->Remove(streams.in);
  auto deliver =
      std::make_shared<UniqueFunction<void()>>([this, alive = std::weak_ptr<int>(alive_), event] {
        if (!alive.expired()) Deliver(event);
      });
  auto waiting = std::make_shared<size_t>(streams.out.size() + 1);
  const auto one_done = [waiting, deliver] {
    if (--*waiting == 0) (*deliver)();
  };
  for (const uint32_t stream : streams.out) mux_->AfterWritten(stream, one_done);
  one_done();
}

void BackendClient::Deliver(const pod::Event& event) {
  if (sink_) return sink_(event);
  if (early_events_.size() < kMaxEarlyEvents) early_events_.push_back(event);
}

void BackendClient::SetEventSink(EventSink sink) {
  sink_ = std::move(sink);
  if (!sink_) return;
  for (const auto& event : std::exchange(early_events_, {})) sink_(event);
}

void BackendClient::AttachStdio(pod::Request& request, const std::string& process, Stdio stdio,
                                std::vector<UniqueFd>& fds) {
  pod::StdioRef& ref = *request.mutable_stdio();
  if (!mux_) {
    const auto attach = [&](UniqueFd& fd) -> uint32_t {
      if (!fd.valid()) return 0;
      fds.push_back(std::move(fd));
      return fds.size();
    };
    ref.set_in(attach(stdio.in));
    ref.set_out(attach(stdio.out));
    ref.set_err(attach(stdio.err));
    return;
  }
  if (closed_) return;
  ProcessStreams streams;
  const auto output = [&](UniqueFd& fd) -> uint32_t {
    if (!fd.valid()) return 0;
    const uint32_t stream = next_stream_++;
    mux_->AddSink(stream, std::move(fd));
    streams.out.push_back(stream);
    return stream;
  };
  ref.set_out(output(stdio.out));
  ref.set_err(output(stdio.err));
  if (stdio.in.valid()) {
    streams.in = next_stream_++;
    ref.set_in(streams.in);
    mux_->AddSource(streams.in, std::move(stdio.in));
  }
  streams_[process] = std::move(streams);
}

void BackendClient::DropStreams(const std::string& process) {
  auto found = streams_.find(process);
  if (found == streams_.end()) return;
  const ProcessStreams streams = std::move(found->second);
  streams_.erase(found);
  if (streams.in != 0) mux_->Remove(streams.in);
  for (const uint32_t stream : streams.out) mux_->Remove(stream);
}

void BackendClient::Hello(Completion<pod::HelloResponse> done) {
  pod::Request request;
  request.mutable_hello()->set_protocol_version(kPodProtocol);
  Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
    auto hello = Unwrap<pod::HelloResponse>(std::move(reply), CATAMARAN_PART(hello));
    if (hello && hello->protocol_version() < kOldestPodProtocol)
      return done(Fail(ErrorCode::kFailedPrecondition,
                       "the peer (build {}) speaks protocol version {}; {} to {} are understood",
                       hello->build(), hello->protocol_version(), kOldestPodProtocol,
                       kPodProtocol));
    done(std::move(hello));
  });
}

void BackendClient::PrepareSandbox(const pod::PrepareSandboxRequest& prepare,
                                   Completion<pod::PrepareSandboxResponse> done) {
  pod::Request request;
  *request.mutable_prepare_sandbox() = prepare;
  Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
    done(Unwrap<pod::PrepareSandboxResponse>(std::move(reply), CATAMARAN_PART(prepare_sandbox)));
  });
}

void BackendClient::CreateSandbox(const pod::CreateSandboxRequest& create,
                                  Completion<pod::CreateSandboxResponse> done) {
  pod::Request request;
  *request.mutable_create_sandbox() = create;
  Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
    done(Unwrap<pod::CreateSandboxResponse>(std::move(reply), CATAMARAN_PART(create_sandbox)));
  });
}

void BackendClient::DestroySandbox(Done done) {
  pod::Request request;
  request.mutable_destroy_sandbox();
  CallDone(std::move(request), std::move(done));
}

void BackendClient::CreateContainer(const pod::CreateContainerRequest& create, Stdio stdio,
                                    Completion<pod::CreateContainerResponse> done) {
  pod::Request request;
  *request.mutable_create_container() = create;
  const std::string process = create.container().container_id() + "/";
  std::vector<UniqueFd> fds;
  AttachStdio(request, process, std::move(stdio), fds);
  Call(std::move(request), std::move(fds),
       [this, alive = std::weak_ptr<int>(alive_), process,
        done = std::move(done)](Result<Reply> reply) mutable {
         if (!reply && !alive.expired()) DropStreams(process);
         done(Unwrap<pod::CreateContainerResponse>(std::move(reply),
                                                   CATAMARAN_PART(create_container)));
       });
}

void BackendClient::StartContainer(const pod::StartContainerRequest& start,
                                   Completion<pod::StartContainerResponse> done) {
  pod::Request request;
  *request.mutable_start_container() = start;
  Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
    done(Unwrap<pod::StartContainerResponse>(std::move(reply), CATAMARAN_PART(start_container)));
  });
}

void BackendClient::Signal(const pod::SignalRequest& signal, Done done) {
  pod::Request request;
  *request.mutable_signal() = signal;
  CallDone(std::move(request), std::move(done));
}

void BackendClient::RemoveContainer(const pod::RemoveContainerRequest& remove, Done done) {
  pod::Request request;
  *request.mutable_remove_container() = remove;
  CallDone(std::move(request),
           [this, alive = std::weak_ptr<int>(alive_), process = remove.container_id() + "/",
            done = std::move(done)](Result<void> result) mutable {
             if (result && !alive.expired()) DropStreams(process);
             done(std::move(result));
           });
}

void BackendClient::Exec(const pod::ExecRequest& exec, Stdio stdio,
                         Completion<pod::ExecResponse> done) {
  pod::Request request;
  *request.mutable_exec() = exec;
  const std::string process = exec.container_id() + "/" + exec.exec_id();
  std::vector<UniqueFd> fds;
  AttachStdio(request, process, std::move(stdio), fds);
  Call(std::move(request), std::move(fds),
       [this, alive = std::weak_ptr<int>(alive_), process,
        done = std::move(done)](Result<Reply> reply) mutable {
         if (!reply && !alive.expired()) DropStreams(process);
         done(Unwrap<pod::ExecResponse>(std::move(reply), CATAMARAN_PART(exec)));
       });
}

// Over a byte stream the end of the input travels behind the input itself, and so must the verb.
void BackendClient::CloseStdin(const pod::CloseStdinRequest& close, Done done) {
  pod::Request request;
  *request.mutable_close_stdin() = close;
  auto found = streams_.find(KeyOf(close.process()));
  if (!mux_ || found == streams_.end() || found->second.in == 0)
    return CallDone(std::move(request), std::move(done));
  mux_->EndAfterContents(
      found->second.in, [this, alive = std::weak_ptr<int>(alive_), request = std::move(request),
                         done = std::move(done)]() mutable {
        if (alive.expired()) return;
        CallDone(std::move(request), std::move(done), MessageChannel::Order::kBulk);
      });
}

void BackendClient::ResizeTerminal(const pod::ResizeTerminalRequest& resize, Done done) {
  pod::Request request;
  *request.mutable_resize_terminal() = resize;
  CallDone(std::move(request), std::move(done));
}

void BackendClient::UpdateResources(const pod::UpdateResourcesRequest& update, Done done) {
  pod::Request request;
  *request.mutable_update_resources() = update;
  CallDone(std::move(request), std::move(done));
}

void BackendClient::Stats(const pod::StatsRequest& stats, Completion<pod::StatsResponse> done) {
  pod::Request request;
  *request.mutable_stats() = stats;
  Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
    done(Unwrap<pod::StatsResponse>(std::move(reply), CATAMARAN_PART(stats)));
  });
}

void BackendClient::List(Completion<pod::ListResponse> done) {
  pod::Request request;
  request.mutable_list();
  Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
    done(Unwrap<pod::ListResponse>(std::move(reply), CATAMARAN_PART(list)));
  });
}

void BackendClient::DialPort(const pod::DialPortRequest& dial, Completion<UniqueFd> done) {
  pod::Request request;
  *request.mutable_dial_port() = dial;
  if (!mux_) {
    return Call(std::move(request), {}, [done = std::move(done)](Result<Reply> reply) mutable {
      if (!reply) return done(tl::unexpected(std::move(reply).error()));
      if (reply->fds.size() != 1)
        return done(Fail(ErrorCode::kInternal, "the peer sent {} descriptors for a dialled port",
                         reply->fds.size()));
      done(std::move(reply->fds[0]));
    });
  }
  auto sockets = MakeSocketPair(SOCK_STREAM);
  if (!sockets) return done(tl::unexpected(std::move(sockets).error()));
  UniqueFd other(fcntl(sockets->ours.get(), F_DUPFD_CLOEXEC, 0));
  if (!other.valid()) return done(FailWithErrno("duplicate a socket"));
  const uint32_t in = next_stream_++, out = next_stream_++;
  request.mutable_stdio()->set_in(in);
  request.mutable_stdio()->set_out(out);
  mux_->AddSink(out, std::move(other));
  Call(std::move(request), {},
       [this, alive = std::weak_ptr<int>(alive_), in, out, ours = std::move(sockets->ours),
        theirs = std::move(sockets->theirs), done = std::move(done)](Result<Reply> reply) mutable {
         if (!reply) {
           if (!alive.expired()) mux_->Remove(out);
           return done(tl::unexpected(std::move(reply).error()));
         }
         // Its bytes may go now that the server knows the stream.
         if (!alive.expired()) mux_->AddSource(in, std::move(ours));
         done(std::move(theirs));
       });
}

void BackendClient::Pause(Done done) {
  pod::Request request;
  request.mutable_pause();
  CallDone(std::move(request), std::move(done));
}

void BackendClient::Resume(Done done) {
  pod::Request request;
  request.mutable_resume();
  CallDone(std::move(request), std::move(done));
}

void BackendClient::ReopenLog(const pod::ReopenLogRequest& reopen, Done done) {
  pod::Request request;
  *request.mutable_reopen_log() = reopen;
  CallDone(std::move(request), std::move(done));
}

void BackendClient::Attach(const pod::AttachRequest& attach, Stdio stdio,
                           Completion<UniqueFd> done) {
  pod::Request request;
  *request.mutable_attach() = attach;
  std::vector<UniqueFd> fds;
  if (!mux_) AttachStdio(request, "", std::move(stdio), fds);
  Call(std::move(request), std::move(fds), [done = std::move(done)](Result<Reply> reply) mutable {
    if (!reply) return done(tl::unexpected(std::move(reply).error()));
    done(reply->fds.empty() ? UniqueFd() : std::move(reply->fds[0]));
  });
}

void BackendClient::Shutdown(Done done) {
  pod::Request request;
  request.mutable_shutdown();
  CallDone(std::move(request), std::move(done));
}

}  // namespace catamaran
