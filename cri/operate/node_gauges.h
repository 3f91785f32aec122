#pragma once

#include <vector>

#include "cri/pods/pods.h"
#include "cri/telemetry/calls_in_flight.h"
#include "cri/telemetry/meters.h"

namespace catamaran {

// What is read when somebody asks for metrics: pods and containers by state and handler, the pool,
// private memory by kind of process, calls in flight, the build. Takes each lock for a moment only;
// with a thousand pods some hundred milliseconds of one thread.
std::vector<GaugeFamily> NodeGauges(Pods& pods, const CallsInFlight& calls);

}  // namespace catamaran
