#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "cri/pods/pods.h"
#include "sandbox/base/trace.h"

namespace catamaran {

// How long each step of a start took: for the record, the metrics and whoever asks meanwhile.
class Timeline {
 public:
  Timeline(Pods& pods, std::string handler, const CallContext& call)
      : pods_(pods), handler_(std::move(handler)), call_(call) {}

  // Runs `step` and notes its time, also where it fails.
  template <typename Function>
  auto Step(const std::string& name, Function step) {
    const Note note(*this, name);
    StepSpan span(name);
    return span.Outcome(step());
  }

  template <typename Record>
  void AppendTo(Record& record) const {
    for (const auto& step : steps_) *record.add_timeline() = step;
  }

 private:
  class Note {
   public:
    Note(Timeline& timeline, std::string name)
        : timeline_(timeline), began_(std::chrono::steady_clock::now()) {
      step_.set_name(std::move(name));
      step_.set_started_at_ns(NowNanoseconds());
      if (timeline_.call_.on_step) timeline_.call_.on_step(step_.name());
    }
    Note(const Note&) = delete;
    ~Note() {
      const auto took = std::chrono::steady_clock::now() - began_;
      step_.set_duration_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
      timeline_.pods_.meters().StepTook(timeline_.handler_, step_.name(), took);
      if (timeline_.call_.on_step) timeline_.call_.on_step("");
      timeline_.steps_.push_back(std::move(step_));
    }

   private:
    Timeline& timeline_;
    const std::chrono::steady_clock::time_point began_;
    record::TimelineStep step_;
  };

  Pods& pods_;
  const std::string handler_;
  const CallContext& call_;
  std::vector<record::TimelineStep> steps_;
};

}  // namespace catamaran
