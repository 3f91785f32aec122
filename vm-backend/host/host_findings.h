#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// What a launch must know of this host and takes its time to find out.
struct HostFindings {
  Status kvm;  // the probe's
  uint64_t tsc_khz = 0;
};

// Probes KVM and measures the counter: 20 ms, up to half a second, and it may crash. Run it in a
// child process.
HostFindings ExamineHost();

// Findings are kept in a file of the run directory, written by whichever shim found them out first,
// so that one pod of a boot pays for them. They hold for this identity of the host: the kernel's
// boot and the device that was probed, which a module that is loaded again makes anew. That KVM
// does not work holds for a minute only: what was in its way may have been a moment's.
struct HostIdentity {
  std::string boot_id;
  std::string kvm;  // /dev/kvm by numbers and time; empty where there is none
  static HostIdentity Now();
};
// Time since the host's boot.
std::chrono::seconds HostUptime();

// As text: to cross from the child, and for the file.
std::string EncodeFindings(const HostFindings& findings, const HostIdentity& identity,
                           std::chrono::seconds found_at);
// kNotFound where the text is of another host, too old, or none that EncodeFindings makes.
Result<HostFindings> DecodeFindings(const std::string& text, const HostIdentity& identity,
                                    std::chrono::seconds now);

}  // namespace catamaran
