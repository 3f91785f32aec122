#include "cri/doctor/guest_probe.h"

#include "cri/images/hasher.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// What build-guest.sh says an initramfs was made from: kernel, script, agent; hexadecimal SHA-256.
constexpr char kStamp[] = ".initramfs.img.stamp";
constexpr size_t kLongestStamp = 4096;

Result<Finding> CompareAgents(const HostPath& agent, const std::string& stamp) {
  ASSIGN_OR_RETURN(const std::string program, ReadFile(agent.value()));
  const std::string digest = Sha256Of(program);
  const std::string hex = digest.substr(digest.find(':') + 1);
  if (stamp.find(hex) != std::string::npos) return Works("of this version");
  return Fail(ErrorCode::kFailedPrecondition, "the guest has another agent than {}",
              agent.string());
}

}  // namespace

void ProbeGuest(const HandlerConfig& handler, const HostPath& agent, const ProbeRunner& run) {
  const HostPath initramfs(handler.machine.initramfs());
  const auto stamp = ReadFile(initramfs.value().parent_path() / kStamp, kLongestStamp);
  if (!stamp || !Exists(agent.value())) return;
  run({.name = "guest agent",
       .failure = FindingStatus::kDegraded,
       .meaning = "new pods have what the older version did in the guest",
       .remedy = "catamaran guest build",
       .run = [agent, stamp = *stamp] { return CompareAgents(agent, stamp); }});
}

}  // namespace catamaran
