#include "cri/pods/pods.h"

#include <algorithm>

#include "cri/pods/nri_events.h"
#include "cri/pods/recovery.h"
#include "cri/pods/teardown.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kJanitorPeriod{5};

}  // namespace

Pods::Pods(Config config, PodsParts parts, std::string boot_id)
    : config_(std::move(config)),
      parts_(std::move(parts)),
      records_(config_.run, std::move(boot_id)),
      nri_(std::make_unique<NriPlugins>(config_.nri, NriHostOf(*this))) {}

Pods::~Pods() {
  {
    std::lock_guard lock(janitor_mutex_);
    stopping_ = true;
  }
  janitor_wake_.notify_all();
  if (janitor_.joinable()) janitor_.join();
  nri_->Stop();
  pool_.End();
  background_.Finish();
  for (const auto& pod : table_.Pods()) {
    std::shared_ptr<ShimClient> shim;  // its destructor may wait for a callback that wants the lock
    std::lock_guard lock(pod->mutex);
    shim.swap(pod->shim);
  }
  parts_.shims.reset();
}

Result<const HandlerConfig*> Pods::FindHandler(const std::string& runtime_handler) const {
  if (const HandlerConfig* handler = config_.FindHandler(runtime_handler)) return handler;
  return Fail(ErrorCode::kInvalidArgument,
              "runtime_handler: \"{}\" is not one of the configured handlers: {}", runtime_handler,
              config_.HandlerNames());
}

std::shared_ptr<Pod> Pods::NewPod(const PodId& id) {
  auto pod = std::make_shared<Pod>(id, ShimPaths{records_.PodFolder(id)},
                                   config_.root / "pods" / id.value());
  pod->events = &events_;
  return pod;
}

void Pods::KeepTemplates() {
  const auto wants = [](const HandlerConfig& handler) {
    return handler.hull == HandlerConfig::Hull::kVm && handler.machine.use_template();
  };
  if (std::none_of(config_.handlers.begin(), config_.handlers.end(), wants)) return;
  if (auto kept = shims().KeepTemplates(config_.KeeperPaths(), config_.templates); !kept)
    Notice("VMs boot instead of being cloned, no template keeper: " + kept.error().message);
}

void Pods::StartJanitor() {
  janitor_ = std::thread([this] { RunJanitor(); });
}

void Pods::RunJanitor() {
  std::unique_lock lock(janitor_mutex_);
  while (!janitor_wake_.wait_for(lock, kJanitorPeriod, [&] { return stopping_; })) {
    lock.unlock();
    Sweep(*this);
    AdoptPods(*this, Deadline::After(kJanitorPeriod));
    lock.lock();
  }
}

}  // namespace catamaran
