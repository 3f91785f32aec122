#pragma once

#include <memory>
#include <utility>

#include "sandbox/backend/sandbox_backend.h"

namespace catamaran {

// Hands every verb on to another backend, which it owns. What stands in front of one (a shim, an
// agent) derives from this and overrides those verbs to which it adds something.
class ForwardingBackend : public SandboxBackend {
 public:
  void SetEventSink(EventSink sink) override { next_->SetEventSink(std::move(sink)); }
  void PrepareSandbox(const pod::PrepareSandboxRequest& request,
                      Completion<pod::PrepareSandboxResponse> done) override {
    next_->PrepareSandbox(request, std::move(done));
  }
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override {
    next_->CreateSandbox(request, std::move(done));
  }
  void DestroySandbox(Done done) override { next_->DestroySandbox(std::move(done)); }
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override {
    next_->CreateContainer(request, std::move(stdio), std::move(done));
  }
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override {
    next_->StartContainer(request, std::move(done));
  }
  void Signal(const pod::SignalRequest& request, Done done) override {
    next_->Signal(request, std::move(done));
  }
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override {
    next_->RemoveContainer(request, std::move(done));
  }
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override {
    next_->Exec(request, std::move(stdio), std::move(done));
  }
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override {
    next_->CloseStdin(request, std::move(done));
  }
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) override {
    next_->ResizeTerminal(request, std::move(done));
  }
  void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) override {
    next_->UpdateResources(request, std::move(done));
  }
  void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) override {
    next_->Stats(request, std::move(done));
  }
  void List(Completion<pod::ListResponse> done) override { next_->List(std::move(done)); }
  void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) override {
    next_->DialPort(request, std::move(done));
  }
  void Pause(Done done) override { next_->Pause(std::move(done)); }
  void Resume(Done done) override { next_->Resume(std::move(done)); }

 protected:
  explicit ForwardingBackend(std::unique_ptr<SandboxBackend> next) : next_(std::move(next)) {}
  SandboxBackend& next() { return *next_; }

 private:
  std::unique_ptr<SandboxBackend> next_;
};

}  // namespace catamaran
