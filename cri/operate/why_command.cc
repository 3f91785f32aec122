#include "cri/operate/why_command.h"

#include <fmt/ranges.h>

#include <chrono>

#include "cri/operate/pod_story.h"
#include "cri/service/grpc_cri_client.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kPatience{20};

std::vector<v1::PodSandbox> Matching(const v1::ListPodSandboxResponse& list,
                                     const std::string& wanted) {
  std::vector<v1::PodSandbox> matching;
  for (const v1::PodSandbox& pod : list.items()) {
    const bool by_id = wanted.size() >= 4 && pod.id().starts_with(wanted);
    if (by_id || pod.metadata().name() == wanted || NameOf(pod.metadata()) == wanted)
      matching.push_back(pod);
  }
  return matching;
}

std::vector<std::string> TroublesOf(const v1::StatusResponse& status) {
  std::vector<std::string> troubles;
  for (const v1::RuntimeCondition& condition : status.status().conditions())
    if (!condition.status())
      troubles.push_back(fmt::format("{} is false, {}: {}", condition.type(), condition.reason(),
                                     condition.message()));
  return troubles;
}

std::chrono::nanoseconds Now() { return std::chrono::system_clock::now().time_since_epoch(); }

Result<std::string> TellOne(CriClient& cri, const v1::StatusResponse& status,
                            const std::string& id) {
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  request.set_verbose(true);
  PodStory story{.calls = CallsOf(status), .node_troubles = TroublesOf(status), .now = Now()};
  ASSIGN_OR_RETURN(story.status, cri.PodSandboxStatus(request));
  return TellPod(story);
}

std::string TellAll(const v1::StatusResponse& status, const v1::ListPodSandboxResponse& list,
                    const v1::ListContainersResponse& containers) {
  std::vector<std::string> troubles = TroublesOf(status);
  for (const v1::PodSandbox& pod : list.items())
    if (pod.state() != v1::SANDBOX_READY)
      troubles.push_back(NameOf(pod.metadata()) + ": its sandbox is not ready");
  for (const v1::Container& container : containers.containers())
    if (container.state() == v1::CONTAINER_UNKNOWN)
      troubles.push_back(
          fmt::format("sandbox {}: container {} is unknown, its shim does not answer",
                      container.pod_sandbox_id().substr(0, 13), container.metadata().name()));
  return TellNode(CallsOf(status), troubles);
}

}  // namespace

Status WhyCommand(const Config& config, const std::string& wanted) {
  ASSIGN_OR_RETURN(const auto cri, CriClient::Create(config.listen, kPatience));
  v1::StatusRequest verbose;
  verbose.set_verbose(true);
  ASSIGN_OR_RETURN(const auto status, cri->Status(verbose));
  ASSIGN_OR_RETURN(const auto list, cri->ListPodSandbox({}));
  if (wanted.empty()) {
    ASSIGN_OR_RETURN(const auto containers, cri->ListContainers({}));
    fmt::print("{}", TellAll(status, list, containers));
    return {};
  }
  const auto matching = Matching(list, wanted);
  const std::string in_the_making = TellPodInTheMaking(wanted, CallsOf(status));
  fmt::print("{}", in_the_making);
  if (matching.empty() && in_the_making.empty())
    return Fail(ErrorCode::kNotFound,
                "no pod is or becomes '{}': give a name, namespace/name or the beginning of an id "
                "(`catamaran top --once` lists them)",
                wanted);
  for (const v1::PodSandbox& pod : matching) {
    ASSIGN_OR_RETURN(const std::string text, TellOne(*cri, status, pod.id()));
    fmt::print("{}{}", in_the_making.empty() && &pod == &matching.front() ? "" : "\n", text);
  }
  return {};
}

}  // namespace catamaran
