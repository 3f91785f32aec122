#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "e2e/bench/memory.h"
#include "e2e/bench/runtime.h"
#include "e2e/bench/samples.h"
#include "e2e/harness/plain_pod.h"

namespace catamaran::e2e {

// What idle containers run, `sleep` of so many seconds: by it their processes are told from those
// of the runtime.
inline constexpr char kIdleSeconds[] = "98765432";
// Of /lines in the image: lines of 128 bytes, about a megabyte.
inline constexpr int kLinesInFile = 7813;

// What takes turns: a runtime with one of its handlers.
struct Subject {
  std::string name;  // "catamaran ns"
  Runtime* runtime = nullptr;
  std::string handler;
  bool machines = false;  // each pod is a VM: fewer of them fit
  // Machines that wait for pods: as many before each of its turns, and again after it, so that
  // nobody else pays for them.
  int pool = 0;
};

struct Plan {
  std::string image;      // has /bin/sh, /bin/true, /bin/sleep, and /lines where logs are measured
  std::string big_image;  // to be pulled; empty: none is
  std::string folder;     // for logs and the floor; has floor/ with /bin/sleep in it
  std::string cgroup;     // the floor's; empty: it is not measured
  int pods = 20;          // rounds of whole pod lives
  int rounds = 3;         // of everything else
  int parallel = 32;      // started at once
  int many = 200;         // alive at once
  int machines = 4;       // instead of `parallel` and `many` where each pod is a VM
  int log_megabytes = 200;
  int stream_megabytes = 1024;
};

// One run: subjects that take turns, and what was measured of them. A subject that fails is out
// from then on, with its error kept for the report. Everything blocks.
class Bench {
 public:
  Bench(Plan plan, std::vector<Subject> subjects)
      : plan_(std::move(plan)), subjects_(std::move(subjects)) {}

  // Run, create, start, exec, stop and remove of one pod a round, beside the bare system calls
  // that no runtime can do without (floor.cc) as a subject of its own.
  void MeasurePodLives();
  // ExecSync of `true`, back to back.
  void MeasureExec();
  // Pods started at once, a thread each.
  void MeasureParallelStarts();
  // Many pods that stay: their starts, lists, statistics, memory, the CPU time of doing nothing.
  // Either of the subjects whose pods are VMs, or of the others: idle VMs cost their neighbours.
  void MeasureManyPods(bool machines);
  // A container that writes lines of 128 bytes and ends, until the log has them all.
  void MeasureLogs();
  // Zeros out of a container, by exec and by port-forward.
  void MeasureStreams();
  // Pulls of the big image.
  void MeasurePulls();

  // Tables with medians, p99, n, and the ratio to `base` (a subject's name; "": none).
  void Print(const std::string& base) const;
  bool failed() const { return !failures_.empty(); }

 private:
  using PodList = std::vector<std::unique_ptr<PlainPod>>;
  using Step = std::function<Status(const Subject&)>;

  // A turn of each subject that has not failed; the second: of those of one sort.
  void Turn(const Step& step);
  void Turn(bool machines, const Step& step);
  // A pod that did not come out of its subject's pool fails the subject.
  Status TurnOf(const Subject& subject, const Step& step);
  // `step`'s wall time as "<measure>, ms" and its CPU time, where known, as "<measure> CPU, ms";
  // both by `repeated`.
  Status Timed(const std::string& measure, const Subject& subject, int round,
               const std::function<Status()>& step, int repeated = 1);
  std::unique_ptr<PlainPod> NewPod(const Subject& subject, std::vector<std::string> command);
  std::unique_ptr<PlainPod> NewIdlePod(const Subject& subject);

  Status LiveOnce(const Subject& subject, int round);
  Status RunFloor(int round, int count, const std::string& measure);
  Status StartTogether(const Subject& subject, int round);
  Status CallLists(const Subject& subject, int round);
  Status Weigh(const Subject& subject, const PodList& pods);
  void MeasureIdling(bool machines);
  Status WriteLog(const Subject& subject, int round);

  Plan plan_;
  std::vector<Subject> subjects_;
  Samples samples_;
  std::map<std::string, std::string> failures_;  // by subject
  int pods_made_ = 0;
};

// Starts this pod and its container.
Status StartWhole(PlainPod& pod);

}  // namespace catamaran::e2e
