#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran {

// A measure that is read when somebody asks, not counted as it happens.
struct GaugeFamily {
  enum class Kind { kGauge, kCounter };
  struct Sample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };
  std::string name, help;
  std::vector<Sample> samples;
  Kind kind = Kind::kGauge;
};

// What the daemon counts about itself, in Prometheus' terms; README.md lists the names. Every label
// has few values: methods, handlers, steps and codes, never a pod's name or an error's text.
// Thread-safe; counting takes about a microsecond and waits for nobody.
class Meters {
 public:
  using Duration = std::chrono::steady_clock::duration;

  Meters();
  ~Meters();
  Meters(const Meters&) = delete;
  Meters& operator=(const Meters&) = delete;

  // A call of the CRI. `error` is null where it succeeded; `handler` "" where it has to do with no
  // pod, or with one that is not there.
  void CallEnded(std::string_view method, const std::string& handler, Duration took,
                 const Error* error);
  // A step of the start of a pod or container, also one that failed.
  void StepTook(const std::string& handler, const std::string& step, Duration took);
  // A machine runs. `start`: "restored" from a template, or "booted"; from the pool or not.
  void MachineStarted(const std::string& handler, const std::string& start, bool from_pool);
  // A pull ended; bytes are counted as they arrive.
  void PullEnded(Duration took, const Error* error);
  void PullReceived(size_t bytes);
  // The sweeper met something that no record owns. `kind`: "cgroup", "data", "folder", or
  // "machine", one that waited for a pod when its daemon was killed.
  void LeakFound(const std::string& kind, bool swept);
  void ReloadEnded(bool applied);
  // Spans of traces: "sent", "queue_full", "refused" by the collector, or "failed" to get there.
  void SpansEnded(const std::string& result, size_t count);

  // All of it, and `more`, in the text format 0.0.4.
  std::string Text(const std::vector<GaugeFamily>& more) const;

 private:
  struct Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace catamaran
