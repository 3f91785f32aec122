#include "e2e/harness/machines.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

namespace catamaran::e2e {

Result<MachineFacts> ReadMachineFacts(CriClient& cri, const std::string& pod) {
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(pod);
  request.set_verbose(true);
  auto reply = cri.PodSandboxStatus(request);
  if (!reply.ok()) return tl::unexpected<Error>(Error(reply.error).While("PodSandboxStatus"));
  const auto found = reply->info().find("info");
  if (found == reply->info().end())
    return Fail(ErrorCode::kNotFound, "the verbose status of {} has no 'info'", pod);
  const auto info = nlohmann::json::parse(found->second, nullptr, false);
  if (!info.is_object())
    return Fail(ErrorCode::kInternal, "the verbose status is no object: {}", found->second);
  const auto details = info.value("details", nlohmann::json::object());
  return MachineFacts{.boot_id = info.value("bootId", ""),
                      .kernel_release = info.value("kernelRelease", ""),
                      .memory_bytes = std::stoull("0" + details.value("memory_bytes", "")),
                      .launcher = details.value("launcher", "unknown"),
                      .accelerator = details.value("accelerator", "unknown"),
                      .start = details.value("start", "unknown"),
                      .machine_id = details.value("machine_id", ""),
                      .why_not_restored = details.value("template", ""),
                      .text = found->second};
}

Status RunUntilRestored(CriClient& cri, const PlainPod::Options& options,
                        const std::function<void(const std::string&, const MachineFacts&)>& seen) {
  constexpr auto kLimit = std::chrono::minutes(10);
  constexpr auto kBetweenTries = std::chrono::seconds(3);  // a try is a boot, beside another one
  const auto end = std::chrono::steady_clock::now() + kLimit;
  for (int attempt = 1;; ++attempt) {
    PlainPod::Options numbered = options;
    numbered.name += "-" + std::to_string(attempt);
    PlainPod pod(cri, std::move(numbered));
    RETURN_IF_ERROR(pod.Run());
    const std::string id = pod.id();
    ASSIGN_OR_RETURN(const MachineFacts facts, ReadMachineFacts(cri, id));
    RETURN_IF_ERROR(pod.StopAndRemove());
    seen(id, facts);
    if (facts.start == "restored") return {};
    if (std::chrono::steady_clock::now() >= end)
      return Fail(ErrorCode::kDeadlineExceeded, "no machine was restored within {} tries: {}",
                  attempt, facts.why_not_restored);
    std::this_thread::sleep_for(kBetweenTries);
  }
}

void MachineCount::Add(const std::string& scenario, const std::string& pod,
                       const MachineFacts& facts, Boot boot) {
  if (!counted_.insert(pod).second) return;
  ++kinds_["launcher " + facts.launcher];
  ++kinds_["accelerator " + facts.accelerator];
  if (facts.start == "restored") {
    ++restored_;
  } else {
    ++booted_;
    if (boot == Boot::kUnasked)
      unasked_.push_back(
          fmt::format("{}: pod {}: {} ({})", scenario, pod, facts.start, facts.why_not_restored));
  }
}

std::vector<std::string> MachineCount::Report() const {
  std::vector<std::string> lines;
  if (restored_ + booted_ == 0) return lines;
  lines.push_back(fmt::format("{} restored, {} booted as asked, {} booted unasked", restored_,
                              booted_ - static_cast<int>(unasked_.size()), unasked_.size()));
  for (const auto& [kind, count] : kinds_) lines.push_back(fmt::format("{}: {}", kind, count));
  for (const std::string& boot : unasked_) lines.push_back("cold boot not asked for: " + boot);
  return lines;
}

}  // namespace catamaran::e2e
