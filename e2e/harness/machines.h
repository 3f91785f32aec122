#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "e2e/harness/cri_client.h"
#include "e2e/harness/plain_pod.h"

namespace catamaran::e2e {

// What a pod's verbose status tells of the machine it runs in.
struct MachineFacts {
  std::string boot_id, kernel_release;       // of the guest
  uint64_t memory_bytes = 0;                 // the guest's RAM
  std::string launcher, accelerator, start;  // start: "restored" or "booted"
  std::string machine_id;                    // the guest's /etc/machine-id
  std::string why_not_restored;              // where it booted
  std::string text;                          // all of it, for messages
};
// An error where the pod is unknown or its status cannot be read.
Result<MachineFacts> ReadMachineFacts(CriClient& cri, const std::string& pod);

// Runs and removes such pods (their handler makes machines) until one was restored from a template:
// the first ones boot while it is made. Each pod's facts go to `seen`. kDeadlineExceeded after ten
// minutes.
Status RunUntilRestored(CriClient& cri, const PlainPod::Options& pod,
                        const std::function<void(const std::string&, const MachineFacts&)>& seen);

// How the machines of one run came to be. A cold boot is asked for where a scenario uses a handler
// with `template: off`, takes the templates' keeper away, or where there is no template of a
// configuration yet (World::PrepareTemplates boots those before any scenario). Every other one
// fails the run: under emulation a boot costs fifty times what a restore does, so a template that
// is silently not used would only show as a slow node.
class MachineCount {
 public:
  enum class Boot { kAskedFor, kUnasked };
  // Counts a pod's machine, once however often it is asked. scenario: for the message. boot: what a
  // cold boot of it would be.
  void Add(const std::string& scenario, const std::string& pod, const MachineFacts& facts,
           Boot boot);

  bool failed() const { return !unasked_.empty(); }
  // Lines for whoever reads the results: how many were restored and booted, by which launcher and
  // accelerator, and each cold boot that nobody asked for with its scenario, pod and reason.
  std::vector<std::string> Report() const;

 private:
  std::set<std::string> counted_;  // pods
  int restored_ = 0, booted_ = 0;
  std::map<std::string, int> kinds_;  // "launcher qemu", "accelerator tcg"
  std::vector<std::string> unasked_;
};

}  // namespace catamaran::e2e
