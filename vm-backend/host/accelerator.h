#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

namespace catamaran {

enum class Accelerator {
  kKvm,
  kTcg,  // emulation in software: ten times slower, and not a security boundary by QEMU's own words
};
std::string_view AcceleratorName(Accelerator accelerator);

// Whether /dev/kvm really runs guests. Opening it proves nothing: hypervisors that emulate
// instructions run a `hlt` and fail at what every kernel uses. So a virtual CPU in long mode must
// carry out cmpxchg16b, xsave and xrstor, then a counting loop in the time hardware needs. Blocks
// for up to half a second: run it in a child process, which it may also crash.
// Error: kFailedPrecondition naming the step that failed.
Status ProbeKvm();

// KVM where the probe passed; else emulation where that is allowed; else kFailedPrecondition with
// what the probe said and what to do about it.
Result<Accelerator> ChooseAccelerator(const Status& kvm, bool allow_emulation);

// Frequency of this host's time stamp counter in kHz, rounded to 10 MHz (a first estimate is all a
// guest's kernel needs); 0 where there is none. What an emulated guest reads is the host's counter.
uint64_t HostTscKhz();

}  // namespace catamaran
