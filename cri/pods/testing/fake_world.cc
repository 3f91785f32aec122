#include "cri/pods/testing/fake_world.h"

#include "cri/pods/identity.h"

#include <csignal>

namespace catamaran {

std::unique_ptr<FakeWorld> FakeWorld::Create(const HostPath& folder) {
  auto world = std::make_unique<FakeWorld>(folder);
  world->images_ = MakeFakeImages(*world);
  world->network_ = MakeFakeNetwork(*world);
  world->cgroup_driver_ = MakeFakeCgroups(*world);
  return world;
}

std::unique_ptr<ShimManager> FakeWorld::NewShimManager() { return MakeFakeShims(*this); }

Status FakeWorld::Step(const std::string& step) { return on_step ? on_step(step) : Status(); }

std::shared_ptr<FakeWorld::Shim> FakeWorld::Find(const std::string& pod) {
  std::lock_guard lock(mutex);
  auto found = shims.find(pod);
  return found == shims.end() ? nullptr : found->second;
}

void FakeWorld::KillShim(const std::string& pod) {
  std::function<void()> on_gone;
  {
    std::lock_guard lock(mutex);
    auto found = shims.find(pod);
    if (found == shims.end()) return;
    found->second->lock.Reset();
    found->second->execs.clear();
    on_gone = std::move(found->second->events.on_gone);
    found->second->events = {};
    shims.erase(found);
  }
  if (on_gone) on_gone();
}

void FakeWorld::Exit(const std::string& pod, const std::string& container, int code, bool oom) {
  pod::Event event;
  std::function<void(const pod::Event&)> on_event;
  {
    std::lock_guard lock(mutex);
    auto found = shims.find(pod);
    if (found == shims.end()) return;
    spec::ContainerStatus& status = found->second->containers[container];
    if (status.state() == spec::EXITED) return;
    status.set_state(spec::EXITED);
    status.mutable_exit()->set_exit_code(code);
    status.mutable_exit()->set_oom_killed(oom);
    status.mutable_exit()->set_exited_at_ns(1'700'000'000'000'000'000);
    event.mutable_exited()->mutable_process()->set_container_id(container);
    *event.mutable_exited()->mutable_exit() = status.exit();
    on_event = found->second->events.on_event;
  }
  if (on_event) on_event(event);
}

bool FakeWorld::Empty() { return Describe().empty(); }

std::string FakeWorld::Describe() {
  std::lock_guard lock(mutex);
  std::string text;
  for (const auto& [pod, shim] : shims) text += "shim " + pod + "\n";
  for (const auto& pod : attached) text += "network " + pod + "\n";
  for (const auto& [holder, images] : leases) text += "lease " + holder + "\n";
  for (const auto& group : cgroups) text += "cgroup " + group + "\n";
  return text;
}

namespace {

class FakeImages final : public ImageStore {
 public:
  explicit FakeImages(FakeWorld& world) : world_(world) {}

  Result<std::vector<Image>> Load(const HostPath&, const LoadOptions&) override {
    return Fail(ErrorCode::kUnimplemented, "no loading here");
  }
  Result<Image> Add(const IncomingImage&, const LoadOptions&) override {
    return Fail(ErrorCode::kUnimplemented, "no adding here");
  }
  Result<std::vector<Image>> List() override { return std::vector<Image>{TheImage()}; }
  Result<std::optional<Image>> Find(const std::string& reference) override {
    RETURN_IF_ERROR(world_.Step("find-image"));
    if (reference == kFakeImage || reference == "busybox") return TheImage();
    return std::optional<Image>();
  }
  Result<std::string> ConfigText(const std::string&) override { return "{}"; }
  Status Remove(const std::string&) override { return {}; }
  Result<spec::RootfsSpec> Lease(const std::string& image_id, const std::string& holder,
                                 RootfsKind) override {
    RETURN_IF_ERROR(world_.Step("lease"));
    std::lock_guard lock(world_.mutex);
    world_.leases[holder].insert(image_id);
    spec::RootfsSpec rootfs;
    rootfs.add_layers()->set_blob("/blob");
    return rootfs;
  }
  Status DropLease(const std::string& holder) override {
    RETURN_IF_ERROR(world_.Step("drop-lease"));
    std::lock_guard lock(world_.mutex);
    world_.leases.erase(holder);
    return {};
  }
  Status DropLeasesExcept(const std::vector<std::string>& holders) override {
    std::lock_guard lock(world_.mutex);
    const std::set<std::string> kept(holders.begin(), holders.end());
    std::erase_if(world_.leases, [&](const auto& lease) { return !kept.contains(lease.first); });
    return {};
  }
  Result<Usage> DiskUsage() override { return Usage{}; }

 private:
  static Image TheImage() {
    Image image;
    image.id = kFakeImage;
    image.repo_tags = {"docker.io/library/busybox:latest"};
    image.size_bytes = 1;
    image.config.command = {"run"};
    return image;
  }
  FakeWorld& world_;
};

class FakeNetwork final : public PodNetwork {
 public:
  explicit FakeNetwork(FakeWorld& world) : world_(world) {}

  Readiness ready() const override { return {.ready = true}; }
  Result<PodNetworkResult> Attach(const PodNetworkRequest& request, Deadline) override {
    RETURN_IF_ERROR(world_.Step("attach"));
    std::lock_guard lock(world_.mutex);
    world_.attached.insert(request.pod.value());
    PodNetworkResult result;
    result.netns = HostPath("/run/netns/" + request.pod.value());
    spec::NetworkInterface interface;
    interface.set_name("eth0");
    interface.add_addresses("10.88.0.2/32");
    result.interfaces.push_back(interface);
    return result;
  }
  Status Detach(const PodId& pod, Deadline) override {
    RETURN_IF_ERROR(world_.Step("detach"));
    std::lock_guard lock(world_.mutex);
    world_.attached.erase(pod.value());
    return {};
  }
  Status DetachExcept(const std::vector<PodId>& pods, Deadline) override {
    std::lock_guard lock(world_.mutex);
    std::set<std::string> kept;
    for (const auto& pod : pods) kept.insert(pod.value());
    std::erase_if(world_.attached, [&](const auto& pod) { return !kept.contains(pod); });
    return {};
  }
  Status SetPodCidr(const std::string&) override { return {}; }

 private:
  FakeWorld& world_;
};

class FakeCgroups final : public PodCgroups {
 public:
  explicit FakeCgroups(FakeWorld& world) : world_(world) {}

  Status Make(const std::string&) override { return {}; }
  Status Admit(const ShimPaths&, const std::string&, Deadline) override {
    return world_.Step("admit-shim");
  }
  Status Move(const std::string& from, const std::string& to, Deadline) override {
    RETURN_IF_ERROR(world_.Step("move-cgroup"));
    std::lock_guard lock(world_.mutex);
    const auto group = [](const std::string& leaf) { return leaf.substr(0, leaf.rfind('/')); };
    for (const auto& [pod, shim] : world_.shims)
      if (shim->cgroup == group(from)) shim->cgroup = group(to);
    world_.cgroups.insert(group(to));
    return {};
  }
  Status Kill(const std::string& path, Deadline) override {
    RETURN_IF_ERROR(world_.Step("kill-cgroup"));
    std::vector<std::string> killed;
    {
      std::lock_guard lock(world_.mutex);
      for (const auto& [pod, shim] : world_.shims) {
        if (shim->cgroup == path) killed.push_back(pod);
      }
    }
    for (const auto& pod : killed) world_.KillShim(pod);
    return {};
  }
  Status Remove(const std::string& path, Deadline) override {
    RETURN_IF_ERROR(world_.Step("remove-cgroup"));
    std::lock_guard lock(world_.mutex);
    world_.cgroups.erase(path);
    return {};
  }
  Result<std::vector<Found>> FindPods(const std::function<bool(const std::string&)>& is_known,
                                      Deadline) override {
    std::lock_guard lock(world_.mutex);
    std::vector<Found> found;
    for (const auto& group : world_.cgroups) {
      const std::string pod = group.substr(group.rfind('/') + 1);
      if (IsPodId(pod) && !is_known(pod)) found.push_back({pod, group});
    }
    return found;
  }

 private:
  FakeWorld& world_;
};

}  // namespace

std::unique_ptr<ImageStore> MakeFakeImages(FakeWorld& world) {
  return std::make_unique<FakeImages>(world);
}
std::unique_ptr<PodNetwork> MakeFakeNetwork(FakeWorld& world) {
  return std::make_unique<FakeNetwork>(world);
}
std::unique_ptr<PodCgroups> MakeFakeCgroups(FakeWorld& world) {
  return std::make_unique<FakeCgroups>(world);
}

}  // namespace catamaran
