// What CniNetwork does in the background: leftovers, GC, CHECK, and telling of changes.
#include <fmt/format.h>

#include "cri/network/cni/cni_network.h"
#include "cri/network/cni/plugin_chain.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

constexpr seconds kPatience{30};

}  // namespace

void CniNetwork::RunChores() {
  using Clock = std::chrono::steady_clock;
  auto retry_at = Clock::now() + retry_interval_;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    chores_wake_.wait_until(lock, retry_at,
                            [&] { return stopping_ || changed_ || (recovered_ && garbage_); });
    if (stopping_) return;
    const bool tell = std::exchange(changed_, false);
    const bool collect = recovered_ && std::exchange(garbage_, false);
    const bool retry = Clock::now() >= retry_at;
    lock.unlock();
    if (tell) TellOfChange();
    if (collect) CollectGarbage();
    if (collect) CheckKept();
    if (retry) RetryLeftovers();
    if (retry) retry_at = Clock::now() + retry_interval_;
    lock.lock();
  }
}

void CniNetwork::TellOfChange() {
  const auto readiness = ready();
  const auto network = watch_->network();
  for (const auto& problem : watch_->problems()) Notice("CNI configuration: " + problem);
  if (!readiness.ready) return Notice(readiness.reason + ": " + readiness.message);
  if (network) Notice(fmt::format("CNI network {} of {} is ready", network->name, network->source));
}

void CniNetwork::CollectGarbage() {
  const auto network = watch_->network();
  if (!network || !network->version.has_gc_and_status() || network->disable_gc) return;
  // Nothing else is done to the network meanwhile (SPEC.md, GC).
  const std::unique_lock alone(garbage_mutex_, kPatience);
  std::vector<Attachment> valid;
  {
    const std::lock_guard lock(mutex_);
    if (!alone.owns_lock()) {
      garbage_ = true;  // after what goes on now
      return;
    }
    for (const auto& [pod, attachment] : attachments_)
      if (attachment.network() == network->name && !leftovers_.contains(pod))
        valid.push_back(attachment);
  }
  if (auto collected =
          PluginChain(runner_, *network).CollectGarbage(valid, Deadline::After(kPatience));
      !collected)
    Notice(fmt::format("network {}: {}", network->name, collected.error().message));
}

// Pods kept over a restart: a network that another hand changed meanwhile is worth a line.
void CniNetwork::CheckKept() {
  std::vector<PodId> pods;
  {
    const std::lock_guard lock(mutex_);
    pods.swap(unchecked_);
  }
  for (const auto& pod : pods) {
    const Deadline deadline = Deadline::After(kPatience);
    const auto claim = claims_.Take(pod, deadline);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const Attachment attachment = FindAttachment(pod);
    if (!claim || attachment.pod_id().empty()) continue;
    const auto network = NetworkOf(attachment);
    if (!network) continue;
    if (auto checked = PluginChain(runner_, *network).Check(attachment, deadline); !checked)
      Notice({.pod = pod.value()}, "its network: " + checked.error().message);
  }
}

void CniNetwork::RetryLeftovers() {
  std::vector<PodId> pods;
  {
    const std::lock_guard lock(mutex_);
    if (!recovered_) return;
    for (const auto& pod : leftovers_) pods.emplace_back(pod);
  }
  if (auto detached = DetachAll(pods, Deadline::After(kPatience)); !detached)
    Notice("give back addresses: " + detached.error().message);
}

}  // namespace catamaran
