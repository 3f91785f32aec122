#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/event_loop.h"
#include "vm-backend/agent/guest_disks.h"
#include "vm-backend/agent/guest_volumes.h"

namespace catamaran {

// The container engine in a guest: before it hands a sandbox or a container to the engine it does
// what is the guest's own (identity, card, disks, volumes) and rewrites the specification into
// words that the engine knows: folders instead of disks, the guest's network instead of a pod's.
class AgentBackend final : public SandboxBackend {
 public:
  // `engine` serves this guest's kernel.
  AgentBackend(EventLoop& loop, std::unique_ptr<SandboxBackend> engine,
               std::unique_ptr<GuestVolumes> volumes);

  void SetEventSink(EventSink sink) override { engine_->SetEventSink(std::move(sink)); }
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override;
  void DestroySandbox(Done done) override { engine_->DestroySandbox(std::move(done)); }
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void StartContainer(const pod::StartContainerRequest& request,
                      Completion<pod::StartContainerResponse> done) override {
    engine_->StartContainer(request, std::move(done));
  }
  void Signal(const pod::SignalRequest& request, Done done) override {
    engine_->Signal(request, std::move(done));
  }
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void Exec(const pod::ExecRequest& request, Stdio stdio,
            Completion<pod::ExecResponse> done) override {
    engine_->Exec(request, std::move(stdio), std::move(done));
  }
  void CloseStdin(const pod::CloseStdinRequest& request, Done done) override {
    engine_->CloseStdin(request, std::move(done));
  }
  void ResizeTerminal(const pod::ResizeTerminalRequest& request, Done done) override {
    engine_->ResizeTerminal(request, std::move(done));
  }
  void UpdateResources(const pod::UpdateResourcesRequest& request, Done done) override {
    engine_->UpdateResources(request, std::move(done));
  }
  void Stats(Completion<pod::StatsResponse> done) override;
  void List(Completion<pod::ListResponse> done) override { engine_->List(std::move(done)); }
  void DialPort(const pod::DialPortRequest& request, Completion<UniqueFd> done) override {
    engine_->DialPort(request, std::move(done));
  }
  void Pause(Done done) override { engine_->Pause(std::move(done)); }
  void Resume(Done done) override { engine_->Resume(std::move(done)); }

 private:
  // A container on its way to the engine, or there: which image disks it holds.
  struct Container {
    spec::ContainerSpec spec;
    std::vector<spec::RootfsSpec*> to_mount;       // in spec
    std::vector<std::string> images;               // mounted for it
    bool ready = false;                            // the engine knows it
    std::vector<UniqueFunction<void()>> removals;  // asked for before it was ready
  };

  void SetUpSandbox(spec::SandboxSpec sandbox, Completion<pod::CreateSandboxResponse> done);
  void MountImages(const std::string& id, Done done);
  void HandOver(const std::string& id, Stdio stdio, Completion<pod::CreateContainerResponse> done);
  void Release(const std::string& id, Done done);
  void ReleaseImages(std::vector<std::string> images, Done done);

  EventLoop& loop_;
  std::unique_ptr<SandboxBackend> engine_;
  std::unique_ptr<GuestVolumes> volumes_;
  GuestDisks disks_;
  bool has_writable_disk_ = false;
  std::map<std::string, Container> containers_;
};

// The specification that the engine gets for a sandbox in a guest. Pure.
spec::SandboxSpec EngineSandbox(const spec::SandboxSpec& sandbox);

}  // namespace catamaran
