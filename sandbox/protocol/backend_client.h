#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/trace.h"
#include "sandbox/protocol/message_channel.h"
#include "sandbox/protocol/stdio_mux.h"

namespace catamaran {

// A SandboxBackend at the other end of a channel: the daemon's view of a shim, the vm backend's of
// the agent. Calls complete with kUnavailable when the peer goes, and at once from then on.
// Over a byte stream the caller's descriptors are pumped here: exits are reported once their
// process's output has been written to them.
//
// Call Hello first: until it is answered the peer refuses everything else. The peer may be
// hostile: its answers are checked for form, errors and events are bounded, and data beyond the
// granted credit ends the connection.
//
// A call made within a span (SpanScope) tells the peer, and what the peer says its time went on
// becomes children of that span.
class BackendClient final : public SandboxBackend {
 public:
  BackendClient(EventLoop& loop, std::unique_ptr<MessageChannel> channel);
  ~BackendClient() override;

  // Connects the callbacks; on_closed runs once when the peer is gone, after pending calls failed.
  Status Start(UniqueFunction<void(const Error&)> on_closed);

  // Fails what is pending and runs on_closed, as if the peer had gone. Destroying the client does
  // neither.
  void Disconnect(const Error& reason) { OnClosed(reason); }

  void Hello(Completion<pod::HelloResponse> done);
  void ReopenLog(const pod::ReopenLogRequest& request, Done done);
  // stdio.out and stdio.err are given away. The descriptor may be invalid.
  void Attach(const pod::AttachRequest& request, Stdio stdio, Completion<UniqueFd> done);
  void Shutdown(Done done);

  void SetEventSink(EventSink sink) override;
  void PrepareSandbox(const pod::PrepareSandboxRequest& request,
                      Completion<pod::PrepareSandboxResponse> done) override;
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override;
  void DestroySandbox(Done done) override;
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override;
  void Signal(const pod::SignalRequest& request, Done done) override;
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override;
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override;
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) override;
  void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) override;
  void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) override;
  void List(Completion<pod::ListResponse> done) override;
  void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) override;
  void Pause(Done done) override;
  void Resume(Done done) override;

 private:
  struct Reply {
    pod::Response response;
    std::vector<UniqueFd> fds;
  };
  using ReplyCompletion = Completion<Reply>;
  struct PendingCall {
    ReplyCompletion done;
    Span span;  // within which it was made
    int64_t sent_ns = 0;
  };
  // The streams of one process, by its ProcessRef, while they carry output.
  struct ProcessStreams {
    uint32_t in = 0;
    std::vector<uint32_t> out;
  };

  void Call(pod::Request request, std::vector<UniqueFd> fds, ReplyCompletion done,
            MessageChannel::Order order = MessageChannel::Order::kUrgent);
  void CallDone(pod::Request request, Done done,
                MessageChannel::Order order = MessageChannel::Order::kUrgent);
  void AttachStdio(pod::Request& request, const std::string& process, Stdio stdio,
                   std::vector<UniqueFd>& fds);
  void DropStreams(const std::string& process);
  void OnMessage(Message message);
  void OnResponse(Message message);
  void OnEvent(const pod::Event& event);
  void Deliver(const pod::Event& event);
  void OnClosed(const Error& error);

  EventLoop& loop_;
  std::unique_ptr<MessageChannel> channel_;
  std::unique_ptr<StdioMux> mux_;
  UniqueFunction<void(const Error&)> on_closed_;
  EventSink sink_;
  std::vector<pod::Event> early_events_;
  uint64_t next_id_ = 1;
  uint32_t next_stream_ = 1;
  std::unordered_map<uint64_t, PendingCall> pending_;
  std::unordered_map<std::string, ProcessStreams> streams_;
  bool closed_ = false;
  Error close_reason_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace catamaran
