#include "shim/log_hub.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sandbox/base/abort_step.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/error_wire.h"
#include "sandbox/protocol/unix_channel.h"
#include "shim/log_process.h"

namespace catamaran {
namespace {

// A log process that dies again and again is started at this pace.
constexpr std::chrono::milliseconds kRestartDelay(500);

Result<UniqueFd> Duplicate(const UniqueFd& fd) {
  UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return FailWithErrno("duplicate a pipe");
  return copy;
}

}  // namespace

LogHub::~LogHub() {
  // The process notices the closed socket, writes what is left and ends by itself; init reaps it.
  channel_.reset();
}

Status LogHub::StartProcess() {
  if (channel_) return {};
  ASSIGN_OR_RETURN(SocketPair sockets, MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK));
  ASSIGN_OR_RETURN(child_, CloneProcess({}, [fd = sockets.theirs.get()] {
                     CloseDescriptorsExcept({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, fd});
                     return RunLogProcess(UniqueFd(fd));
                   }));
  AbortStep();
  ASSIGN_OR_RETURN(channel_, MakeUnixChannel(loop_, std::move(sockets.ours)));
  MessageChannel::Callbacks callbacks;
  callbacks.on_message = [this](const Message& message) { OnReply(message); };
  // Its end is taken from the pidfd alone.
  callbacks.on_closed = [](const Error&) {};
  RETURN_IF_ERROR(channel_->Start(std::move(callbacks)));
  ASSIGN_OR_RETURN(child_watch_,
                   loop_.WatchProcess(child_.pidfd.get(), [this] { OnProcessEnd(); }));
  return {};
}

void LogHub::Add(const std::string& container_id, const std::string& path, UniqueFd out,
                 UniqueFd err, Done done) {
  Log& log = logs_[container_id];
  log.path = path;
  log.out = std::move(out);
  log.err = std::move(err);
  Ask(log::LogRequest::ADD, container_id,
      [this, container_id, done = std::move(done)](Result<void> result) mutable {
        if (!result) logs_.erase(container_id);
        done(std::move(result));
      });
}

void LogHub::Reopen(const std::string& container_id, Done done) {
  Ask(log::LogRequest::REOPEN, container_id, std::move(done));
}

void LogHub::Attach(const std::string& container_id, UniqueFd out, UniqueFd err, Done done) {
  log::LogRequest request;
  request.set_id(next_id_++);
  request.set_verb(log::LogRequest::ATTACH);
  request.set_container_id(container_id);
  request.set_out(out.valid());
  request.set_err(err.valid());
  std::vector<UniqueFd> fds;
  for (UniqueFd* fd : {&out, &err})
    if (fd->valid()) fds.push_back(std::move(*fd));
  if (auto started = StartProcess(); !started) return done(tl::unexpected(started.error()));
  if (auto sent = Send(request, std::move(fds)); !sent) return done(std::move(sent));
  Await(std::move(request), std::move(done));
}

void LogHub::Drain(const std::string& container_id, UniqueFunction<void()> done) {
  if (!logs_.contains(container_id)) return done();
  Ask(log::LogRequest::DRAIN, container_id,
      [done = std::move(done)](const Result<void>&) mutable { done(); });
}

void LogHub::Remove(const std::string& container_id) {
  if (!logs_.contains(container_id)) return;
  Ask(log::LogRequest::REMOVE, container_id, [](const Result<void>&) {});
  logs_.erase(container_id);
}

void LogHub::Ask(log::LogRequest::Verb verb, const std::string& container_id, Done done) {
  log::LogRequest request;
  request.set_id(next_id_++);
  request.set_verb(verb);
  request.set_container_id(container_id);
  if (auto started = StartProcess(); !started) return done(tl::unexpected(started.error()));
  // Where sending fails the process has just died: its successor is asked again.
  (void)Send(request);
  Await(std::move(request), std::move(done));
}

void LogHub::Await(log::LogRequest request, Done done) {
  const uint64_t id = request.id();
  EventLoop::Watch limit;
  if (request.verb() == log::LogRequest::DRAIN) {
    auto timer = loop_.RunAfter(kDrainLimit, [this, id] {
      auto late = pending_.find(id);
      if (late == pending_.end()) return;
      auto done = std::move(late->second.done);
      pending_.erase(late);
      done(Fail(ErrorCode::kDeadlineExceeded, "the log's disk does not answer"));
    });
    if (timer) limit = std::move(*timer);
  }
  pending_[id] = {std::move(request), std::move(done), std::move(limit)};
}

Status LogHub::Send(const log::LogRequest& request, std::vector<UniqueFd> fds) {
  Message message;
  message.type = MessageType::kRequest;
  message.fds = std::move(fds);
  log::LogRequest sent = request;
  if (request.verb() == log::LogRequest::ADD) {
    const Log& log = logs_.at(request.container_id());
    sent.set_path(log.path);
    sent.set_resumed(log.resumed);
    for (const UniqueFd* fd : {&log.out, &log.err}) {
      if (!fd->valid()) continue;
      ASSIGN_OR_RETURN(auto copy, Duplicate(*fd));
      message.fds.push_back(std::move(copy));
    }
  }
  message.body = sent.SerializeAsString();
  return channel_->Send(std::move(message));
}

void LogHub::OnReply(const Message& message) {
  log::LogReply reply;
  if (!reply.ParseFromString(message.body)) return;
  auto found = pending_.find(reply.id());
  if (found == pending_.end()) return;
  auto done = std::move(found->second.done);
  pending_.erase(found);
  if (reply.has_error()) return done(tl::unexpected(ErrorFromWire(reply.error())));
  done({});
}

void LogHub::OnProcessEnd() {
  (void)ReapChild(child_.pidfd.get());
  child_watch_.Cancel();
  child_ = ChildProcess();
  channel_.reset();
  if (stopping_) {
    FailPending(Error{ErrorCode::kUnavailable, 0, "the log process was stopped"});
    auto stopped = std::move(on_stopped_);
    if (stopped) stopped();
    return;
  }
  const auto delay = restarts_++ == 0 ? std::chrono::milliseconds(0) : kRestartDelay;
  auto restart = loop_.RunAfter(delay, [this] {
    if (stopping_ || logs_.empty()) return FailPending({ErrorCode::kUnavailable, 0, "no log"});
    if (auto started = StartProcess(); !started) return FailPending(started.error());
    // Requests that were under way for containers whose log is open come after the opening.
    std::map<uint64_t, Pending> asked = std::exchange(pending_, {});
    std::map<std::string, Done> adding;
    for (auto& [id, pending] : asked) {
      if (pending.request.verb() == log::LogRequest::ADD)
        adding[pending.request.container_id()] = std::move(pending.done);
      // Its descriptors went with the dead one.
      if (pending.request.verb() == log::LogRequest::ATTACH)
        pending.done(Fail(ErrorCode::kUnavailable, "the log process was killed; attach again"));
    }
    for (auto& [container_id, log] : logs_) {
      auto waiting = adding.find(container_id);
      log.resumed = waiting == adding.end();
      Ask(log::LogRequest::ADD, container_id,
          waiting == adding.end() ? Done([](const Result<void>&) {}) : std::move(waiting->second));
    }
    for (auto& [id, pending] : asked)
      if (pending.request.verb() != log::LogRequest::ADD &&
          pending.request.verb() != log::LogRequest::ATTACH)
        Ask(pending.request.verb(), pending.request.container_id(), std::move(pending.done));
  });
  if (!restart) return FailPending(restart.error());
  restart_ = std::move(*restart);
}

void LogHub::FailPending(const Error& error) {
  for (auto& [id, pending] : std::exchange(pending_, {})) pending.done(tl::unexpected(error));
}

void LogHub::Stop(UniqueFunction<void()> done) {
  stopping_ = true;
  if (!channel_) return done();
  on_stopped_ = std::move(done);
  channel_.reset();
}

}  // namespace catamaran
