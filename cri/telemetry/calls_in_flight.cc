#include "cri/telemetry/calls_in_flight.h"

#include <nlohmann/json.hpp>

namespace catamaran {

CallsInFlight::Entry::Entry(CallsInFlight& calls, Call call) : calls_(calls) {
  call.began = call.step_began = Clock::now();
  const std::lock_guard lock(calls_.mutex_);
  call_ = calls_.calls_.insert(calls_.calls_.end(), std::move(call));
}

CallsInFlight::Entry::~Entry() {
  const std::lock_guard lock(calls_.mutex_);
  calls_.calls_.erase(call_);
}

void CallsInFlight::Entry::SetStep(const std::string& step) {
  const std::lock_guard lock(calls_.mutex_);
  call_->step = step;
  call_->step_began = Clock::now();
}

std::vector<CallsInFlight::Call> CallsInFlight::List() const {
  const std::lock_guard lock(mutex_);
  return {calls_.begin(), calls_.end()};
}

std::string CallsInFlight::Json() const {
  const auto milliseconds = [now = Clock::now()](Clock::time_point since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now - since).count();
  };
  nlohmann::json calls = nlohmann::json::array();
  for (const Call& call : List()) {
    calls.push_back({{"method", call.method},
                     {"pod", call.pod},
                     {"container", call.container},
                     {"image", call.image},
                     {"step", call.step},
                     {"ms", milliseconds(call.began)},
                     {"stepMs", milliseconds(call.step_began)}});
  }
  return calls.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace catamaran
