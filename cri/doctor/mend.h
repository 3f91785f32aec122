#pragma once

#include "cri/doctor/host_changer.h"
#include "cri/doctor/report.h"

namespace catamaran {

// Does about the report's lines what can be done about them, one after the other, and says what
// became of each. One that fails keeps no other from being mended.
std::vector<DoctorReport::Mended> Mend(const DoctorReport& report, const Config& config,
                                       const HostChanger& changer, HostChanger::Mode mode);

// After the host was tried again: what was done and has not helped is no longer said to have.
void CheckMended(const DoctorReport& now, std::vector<DoctorReport::Mended>* mended);

}  // namespace catamaran
