#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/forwarding_backend.h"
#include "sandbox/kernel/event_loop.h"
#include "vm-backend/agent/guest_disks.h"
#include "vm-backend/agent/guest_volumes.h"

namespace catamaran {

// The container engine in a guest: before it hands a sandbox or a container to the engine it does
// what is the guest's own (identity, card, disks, volumes) and rewrites the specification into
// words that the engine knows: folders instead of disks, the guest's network instead of a pod's.
class AgentBackend final : public ForwardingBackend {
 public:
  // `engine` serves this guest's kernel.
  AgentBackend(EventLoop& loop, std::unique_ptr<SandboxBackend> engine,
               std::unique_ptr<GuestVolumes> volumes);

  // Before there is a pod: the guest's disk and its volume pump.
  void PrepareSandbox(const pod::PrepareSandboxRequest& request,
                      Completion<pod::PrepareSandboxResponse> done) override;
  void CreateSandbox(const pod::CreateSandboxRequest& request,
                     Completion<pod::CreateSandboxResponse> done) override;
  void CreateContainer(const pod::CreateContainerRequest& request, Stdio stdio,
                       Completion<pod::CreateContainerResponse> done) override;
  void RemoveContainer(const pod::RemoveContainerRequest& request, Done done) override;
  void Stats(const pod::StatsRequest& request, Completion<pod::StatsResponse> done) override;

 private:
  // A container on its way to the engine, or there: which image disks it holds.
  struct Container {
    spec::ContainerSpec spec;
    std::vector<spec::RootfsSpec*> to_mount;       // in spec
    std::vector<std::string> images;               // mounted for it
    spec::ContainerSpec asked;                     // spec as the host sent it
    bool ready = false;                            // the engine knows it
    std::vector<UniqueFunction<void()>> removals;  // asked for before it was ready
  };

  // Each once, where the sandbox has it.
  Status StartVolumes(const spec::SandboxSpec& sandbox);
  void MountWritable(const spec::SandboxSpec& sandbox, Done done);
  void SetUpSandbox(spec::SandboxSpec sandbox, Completion<pod::CreateSandboxResponse> done);
  void MountImages(const std::string& id, Done done);
  void FindDevices(const std::string& id, Done done);
  void PrepareVolumes(const std::string& id, Done done);
  void HandOver(const std::string& id, Stdio stdio, Completion<pod::CreateContainerResponse> done);
  void Release(const std::string& id, Done done);
  void ReleaseImages(std::vector<std::string> images, Done done);

  EventLoop& loop_;
  std::unique_ptr<GuestVolumes> volumes_;
  GuestDisks disks_;
  bool has_writable_disk_ = false;
  bool has_volumes_ = false;
  std::map<std::string, Container> containers_;
};

// The specification that the engine gets for a sandbox in a guest. Pure.
spec::SandboxSpec EngineSandbox(const spec::SandboxSpec& sandbox);

}  // namespace catamaran
