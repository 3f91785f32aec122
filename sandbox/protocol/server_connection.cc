#include "sandbox/protocol/server_connection.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "sandbox/base/files.h"
#include "sandbox/base/trace_context.h"
#include "sandbox/protocol/error_wire.h"
#include "sandbox/protocol/span_wire.h"
#include "sandbox/protocol/verb_name.h"

namespace catamaran {
namespace {
constexpr size_t kMaxInFlight = 64;
}

std::string ProcessKey(const std::string& container_id, const std::string& exec_id) {
  return container_id + "/" + exec_id;
}

Status BackendServer::Connection::Start() {
  MessageChannel::Callbacks callbacks;
  callbacks.on_session = [this] { OnSession(); };
  callbacks.on_message = [this](Message message) { OnMessage(std::move(message)); };
  callbacks.on_closed = [this](const Error&) { server_.Forget(id_); };
  callbacks.on_room = [this] {
    if (mux_) mux_->OnRoom();
  };
  return channel_->Start(std::move(callbacks));
}

// Whatever an earlier session asked for is void: its answers are dropped, its streams end.
void BackendServer::Connection::OnSession() {
  ++session_;
  greeted_ = false;
  in_flight_ = 0;
  streams_.clear();
  mux_.reset();
  if (!channel_->passes_descriptors()) mux_ = std::make_unique<StdioMux>(server_.loop_, *channel_);
}

void BackendServer::Connection::OnMessage(Message message) {
  if (message.type != MessageType::kRequest) {
    if (mux_ && !mux_->Handle(std::move(message))) channel_->EndSession();
    return;
  }
  pod::Request request;
  if (!request.ParseFromString(message.body)) return channel_->EndSession();
  if (++in_flight_ >= kMaxInFlight) channel_->PauseReading(true);
  Dispatch(std::move(request), std::move(message.fds));
}

void BackendServer::Connection::Dispatch(pod::Request request, std::vector<UniqueFd> fds) {
  Call call{alive_, session_, request.id()};
  if (request.verb_case() == pod::Request::kHello) return Hello(request.hello(), call);
  if (!greeted_)
    return Refuse(call, Error{ErrorCode::kFailedPrecondition, 0,
                              "the first request of a connection is hello"});
  if (const auto context = ParseTraceparent(request.traceparent()); context && context->sampled)
    call.span = Span(std::make_shared<Trace>(context->Traceparent()), 0).Child(VerbName(request));
  const SpanScope scope(call.span);
  if (DispatchToProcess(request, fds, call) || DispatchToSandbox(request, call)) return;
  Refuse(call, Error{ErrorCode::kUnimplemented, 0,
                     fmt::format("this build ({}) does not know the verb of request {}",
                                 server_.options_.build, request.id())});
}

bool BackendServer::Connection::DispatchToProcess(pod::Request& request, std::vector<UniqueFd>& fds,
                                                  const Call& call) {
  SandboxBackend& backend = server_.backend_;
  switch (request.verb_case()) {
    case pod::Request::kCreateContainer: {
      const std::string key = ProcessKey(request.create_container().container().container_id(), "");
      auto stdio = TakeStdio(request.stdio(), key, fds);
      if (!stdio) return Refuse(call, stdio.error()), true;
      auto done = CompletionOf<pod::CreateContainerResponse>(call, [](auto& response, auto value) {
        *response.mutable_create_container() = std::move(value);
      });
      backend.CreateContainer(request.create_container(), std::move(*stdio),
                              [this, call, key, done = std::move(done)](
                                  Result<pod::CreateContainerResponse> result) mutable {
                                if (!result && !call.alive.expired() && call.session == session_)
                                  DropStreams(key);
                                done(std::move(result));
                              });
      return true;
    }
    case pod::Request::kExec: {
      const std::string key = ProcessKey(request.exec().container_id(), request.exec().exec_id());
      auto stdio = TakeStdio(request.stdio(), key, fds);
      if (!stdio) return Refuse(call, stdio.error()), true;
      auto done = CompletionOf<pod::ExecResponse>(
          call, [](auto& response, auto value) { *response.mutable_exec() = std::move(value); });
      backend.Exec(
          request.exec(), std::move(*stdio),
          [this, call, key, done = std::move(done)](Result<pod::ExecResponse> result) mutable {
            if (!result && !call.alive.expired() && call.session == session_) DropStreams(key);
            done(std::move(result));
          });
      return true;
    }
    case pod::Request::kStartContainer:
      backend.StartContainer(
          request.start_container(),
          CompletionOf<pod::StartContainerResponse>(call, [](auto& response, auto value) {
            *response.mutable_start_container() = std::move(value);
          }));
      return true;
    case pod::Request::kAttach:
      // Descriptors of this kernel's are what it is about.
      if (!server_.options_.attach || mux_) return false;
      return Attach(request, fds, call), true;
    case pod::Request::kSignal:
      return backend.Signal(request.signal(), DoneOf(call)), true;
    case pod::Request::kRemoveContainer:
      return backend.RemoveContainer(request.remove_container(), DoneOf(call)), true;
    case pod::Request::kCloseStdin:
      return backend.CloseStdin(request.close_stdin(), DoneOf(call)), true;
    case pod::Request::kResizeTerminal:
      return backend.ResizeTerminal(request.resize_terminal(), DoneOf(call)), true;
    case pod::Request::kUpdateResources:
      return backend.UpdateResources(request.update_resources(), DoneOf(call)), true;
    default:
      return false;
  }
}

bool BackendServer::Connection::DispatchToSandbox(pod::Request& request, const Call& call) {
  SandboxBackend& backend = server_.backend_;
  Options& options = server_.options_;
  switch (request.verb_case()) {
    case pod::Request::kPrepareSandbox:
      backend.PrepareSandbox(
          request.prepare_sandbox(),
          CompletionOf<pod::PrepareSandboxResponse>(call, [](auto& response, auto value) {
            *response.mutable_prepare_sandbox() = std::move(value);
          }));
      return true;
    case pod::Request::kCreateSandbox:
      backend.CreateSandbox(
          request.create_sandbox(),
          CompletionOf<pod::CreateSandboxResponse>(call, [](auto& response, auto value) {
            *response.mutable_create_sandbox() = std::move(value);
          }));
      return true;
    case pod::Request::kDestroySandbox:
      return backend.DestroySandbox(DoneOf(call)), true;
    case pod::Request::kStats:
      backend.Stats(request.stats(),
                    CompletionOf<pod::StatsResponse>(call, [](auto& response, auto value) {
                      *response.mutable_stats() = std::move(value);
                    }));
      return true;
    case pod::Request::kList:
      backend.List(CompletionOf<pod::ListResponse>(
          call, [](auto& response, auto value) { *response.mutable_list() = std::move(value); }));
      return true;
    case pod::Request::kDialPort:
      return DialPort(request, call), true;
    case pod::Request::kPause:
      return backend.Pause(DoneOf(call)), true;
    case pod::Request::kResume:
      return backend.Resume(DoneOf(call)), true;
    case pod::Request::kReopenLog:
      if (!options.reopen_log) return false;
      return options.reopen_log(request.reopen_log(), DoneOf(call)), true;
    case pod::Request::kShutdown:
      if (!options.shutdown) return false;
      return options.shutdown(DoneOf(call)), true;
    default:
      return false;
  }
}

void BackendServer::Connection::Hello(const pod::HelloRequest& request, const Call& call) {
  if (request.protocol_version() < kOldestPodProtocol)
    return Refuse(call, Error{ErrorCode::kFailedPrecondition, 0,
                              fmt::format("protocol version {}: this build ({}) speaks {} to {}",
                                          request.protocol_version(), server_.options_.build,
                                          kOldestPodProtocol, kPodProtocol)});
  greeted_ = true;
  pod::Response response;
  pod::HelloResponse& hello = *response.mutable_hello();
  hello.set_protocol_version(std::min(request.protocol_version(), kPodProtocol));
  hello.set_build(server_.options_.build);
  if (server_.options_.tells_boot_id)
    if (auto boot_id = ReadBootId()) hello.set_boot_id(*boot_id);
  if (auto release = ReadFile("/proc/sys/kernel/osrelease", 256))
    hello.set_kernel_release(release->substr(0, release->find('\n')));
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  hello.set_clock_ns(now.tv_sec * 1'000'000'000LL + now.tv_nsec);
  Answer(call, std::move(response));
}

void BackendServer::Connection::DialPort(const pod::Request& request, const Call& call) {
  server_.backend_.DialPort(request.dial_port(),
                            [this, call, streams = request.stdio()](Result<UniqueFd> socket) {
                              if (call.alive.expired() || call.session != session_) return;
                              Connected(call, streams, std::move(socket));
                            });
}

void BackendServer::Connection::Connected(const Call& call, const pod::StdioRef& streams,
                                          Result<UniqueFd> socket) {
  if (!socket) return Refuse(call, socket.error());
  pod::Response response;
  response.mutable_done();
  std::vector<UniqueFd> fds;
  if (!mux_) {
    fds.push_back(std::move(*socket));
    return Answer(call, std::move(response), std::move(fds));
  }
  if (streams.in() == 0 || streams.out() == 0)
    return Refuse(call, Error{ErrorCode::kInvalidArgument, 0, "dial_port names no streams"});
  UniqueFd other(fcntl(socket->get(), F_DUPFD_CLOEXEC, 0));
  if (!other.valid()) return Refuse(call, FailWithErrno("duplicate a socket").value());
  // The answer first: the client knows the streams' sinks from then on.
  Answer(call, std::move(response));
  mux_->AddSink(streams.in(), std::move(*socket));
  mux_->AddSource(streams.out(), std::move(other));
}

void BackendServer::Connection::Attach(const pod::Request& request, std::vector<UniqueFd>& fds,
                                       const Call& call) {
  auto stdio = TakeStdio(request.stdio(), "", fds);
  if (!stdio) return Refuse(call, stdio.error());
  server_.options_.attach(request.attach(), std::move(*stdio), [this, call](Result<UniqueFd> in) {
    if (call.alive.expired()) return;
    if (!in) return Refuse(call, in.error());
    pod::Response response;
    response.mutable_done();
    std::vector<UniqueFd> answer;
    if (in->valid()) answer.push_back(std::move(*in));
    Answer(call, std::move(response), std::move(answer));
  });
}

Result<Stdio> BackendServer::Connection::TakeStdio(const pod::StdioRef& ref,
                                                   const std::string& process,
                                                   std::vector<UniqueFd>& fds) {
  Stdio stdio;
  if (!mux_) {
    const auto take = [&](uint32_t position, UniqueFd& fd) -> Status {
      if (position == 0) return {};
      if (position > fds.size() || !fds[position - 1].valid())
        return Fail(ErrorCode::kInvalidArgument, "stdio names descriptor {} of {}", position,
                    fds.size());
      fd = std::move(fds[position - 1]);
      return {};
    };
    RETURN_IF_ERROR(take(ref.in(), stdio.in));
    RETURN_IF_ERROR(take(ref.out(), stdio.out));
    RETURN_IF_ERROR(take(ref.err(), stdio.err));
    return stdio;
  }
  Streams streams;
  const auto output = [&](uint32_t stream, UniqueFd& far_end) -> Status {
    if (stream == 0) return {};
    ASSIGN_OR_RETURN(auto pipe, MakePipe());
    far_end = std::move(pipe.write_end);
    mux_->AddSource(stream, std::move(pipe.read_end));
    streams.out.push_back(stream);
    return {};
  };
  RETURN_IF_ERROR(output(ref.out(), stdio.out));
  RETURN_IF_ERROR(output(ref.err(), stdio.err));
  if (ref.in() != 0) {
    ASSIGN_OR_RETURN(auto pipe, MakePipe());
    stdio.in = std::move(pipe.read_end);
    mux_->AddSink(ref.in(), std::move(pipe.write_end));
    streams.in = ref.in();
  }
  streams_[process] = std::move(streams);
  return stdio;
}

void BackendServer::Connection::DropStreams(const std::string& process) {
  auto found = streams_.find(process);
  if (found == streams_.end()) return;
  const Streams streams = std::move(found->second);
  streams_.erase(found);
  if (streams.in != 0) mux_->Remove(streams.in);
  for (const uint32_t stream : streams.out) mux_->Remove(stream);
}

void BackendServer::Connection::SendEvent(const pod::Event& event) {
  if (!greeted_) return;
  if (mux_ && event.has_exited()) return SendExit(event);
  Send(MessageType::kEvent, event.SerializeAsString(), {}, MessageChannel::Order::kBulk);
}

// An exit follows everything that its process wrote. Others may hold the same pipes for longer:
// what they write still comes, but nobody waits for it.
void BackendServer::Connection::SendExit(const pod::Event& event) {
  const spec::ProcessRef& process = event.exited().process();
  Streams streams;
  if (auto found = streams_.find(ProcessKey(process.container_id(), process.exec_id()));
      found != streams_.end()) {
    streams = std::move(found->second);
    streams_.erase(found);
  }
  if (streams.in != 0) mux_->Remove(streams.in);
  auto send = std::make_shared<UniqueFunction<void()>>(
      [this, alive = std::weak_ptr<int>(alive_), session = session_,
       body = event.SerializeAsString()]() mutable {
        if (alive.expired() || session != session_) return;
        Send(MessageType::kEvent, std::move(body), {}, MessageChannel::Order::kBulk);
      });
  auto waiting = std::make_shared<size_t>(streams.out.size() + 1);
  const auto one_done = [waiting, send] {
    if (--*waiting == 0) (*send)();
  };
  for (const uint32_t stream : streams.out) mux_->AfterContents(stream, one_done);
  one_done();
}

void BackendServer::Connection::Answer(const Call& call, pod::Response response,
                                       std::vector<UniqueFd> fds) {
  if (call.alive.expired() || call.session != session_) return;
  if (in_flight_-- >= kMaxInFlight) channel_->PauseReading(false);
  response.set_id(call.id);
  call.span.End(response.has_error());
  if (call.span)
    SpansToWire(call.span.trace()->Take(), server_.options_.name, response.mutable_spans());
  Send(MessageType::kResponse, response.SerializeAsString(), std::move(fds),
       MessageChannel::Order::kUrgent);
}

void BackendServer::Connection::Refuse(const Call& call, const Error& error) {
  pod::Response response;
  *response.mutable_error() = ErrorToWire(error);
  Answer(call, std::move(response));
}

void BackendServer::Connection::Send(MessageType type, std::string body, std::vector<UniqueFd> fds,
                                     MessageChannel::Order order) {
  Message message;
  message.type = type;
  message.body = std::move(body);
  message.fds = std::move(fds);
  // A peer that does not read its answers loses the connection, not we our memory.
  if (!channel_->Send(std::move(message), order)) channel_->EndSession();
}

Done BackendServer::Connection::DoneOf(const Call& call) {
  return [this, call](Result<void> result) {
    if (call.alive.expired()) return;
    if (!result) return Refuse(call, result.error());
    pod::Response response;
    response.mutable_done();
    Answer(call, std::move(response));
  };
}

template <typename T, typename Set>
Completion<T> BackendServer::Connection::CompletionOf(const Call& call, Set set) {
  return [this, call, set](Result<T> result) {
    if (call.alive.expired()) return;
    if (!result) return Refuse(call, result.error());
    pod::Response response;
    set(response, std::move(*result));
    Answer(call, std::move(response));
  };
}

}  // namespace catamaran
