// Limits that change while a pod runs in its machine.
#include "sandbox/kernel/process.h"
#include "sandbox/kernel/sandbox_limits.h"
#include "vm-backend/host/vm_backend.h"
#include "vm-backend/host/vm_refusals.h"

namespace catamaran {

void VmBackend::UpdateResources(const pod::UpdateResourcesRequest& request, Done done) {
  if (auto usable = Unusable(); !usable) return done(std::move(usable));
  if (!machine_->shares_host_files())
    if (auto refused = RefuseResize(sandbox_, request.resources()); !refused)
      return done(std::move(refused));
  if (!request.container_id().empty()) return agent_->UpdateResources(request, std::move(done));
  // The host's group first, because it can refuse: it holds the VMM and its helpers as well, for
  // which the overhead is. The guest's group holds the containers alone.
  auto tree = CgroupTree::Open();
  if (!tree) return done(tl::unexpected<Error>(std::move(tree).error()));
  auto limit = [tree = *tree, path = sandbox_.cgroup_path(),
                resources = AddOverhead(request.resources(), request.overhead())] {
    return LimitSandboxGroup(*tree, path, resources);
  };
  pod::UpdateResourcesRequest inside = request;
  inside.clear_overhead();
  const uint64_t key = next_resize_++;
  resizes_[key] = ChildTask::Start(
      loop_, std::move(limit),
      [this, key, inside = std::move(inside), done = std::move(done)](Status limited) mutable {
        const auto ended = resizes_.extract(key);
        if (!limited) return done(std::move(limited));
        if (auto usable = Unusable(); !usable) return done(std::move(usable));
        agent_->UpdateResources(inside, std::move(done));
      });
}

}  // namespace catamaran
