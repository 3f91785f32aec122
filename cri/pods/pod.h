#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cri/pods/pod_state.h"
#include "cri/pods/record.pb.h"
#include "cri/service/call_context.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"
#include "shim/client/shim_client.h"

namespace catamaran {

// The end of an exec'd process, which its caller polls for together with the output.
struct ExecWait {
  UniqueFd finished;  // eventfd, readable once exit is set or lost is true
  std::optional<spec::ExitStatus> exit;
  bool lost = false;  // the shim is gone: no exit will come
};

// The last two readings of a counter of CPU time that lie a while apart, for a rate.
struct CpuSample {
  uint64_t cpu_ns = 0;
  int64_t at_ns = 0;  // 0: none yet
  std::optional<uint64_t> nano_cores;
};

// Somebody who waits for the answers of several shims.
struct StatsRound {
  std::mutex mutex;
  std::condition_variable complete;
  size_t missing = 0;
  // By pod id, of those that have answered so far; only where details were asked for.
  std::map<std::string, std::shared_ptr<const spec::SandboxStats>> details;
};

// What a pod uses, as its shim said last where it was asked for so much of it.
struct PodUsage {
  std::optional<spec::SandboxStats> last;  // never of details, which are many
  // When the shim was asked, while it has not answered; who waits for that answer.
  std::optional<std::chrono::steady_clock::time_point> asked_at;
  std::vector<std::shared_ptr<StatsRound>> rounds;
};

class ContainerEvents;

// What subscribers were told of a container or a sandbox so far (container_events.h).
enum class Told { kNothing, kCreated, kStarted, kStopped };

// What NRI plugins know of a pod or container (nri_events.h). Changed inside claims only.
struct ToldToPlugins {
  bool known = false;    // they were told that it comes into being, and not that it is removed
  bool started = false;  // containers: that it starts
  bool stopped = false;
};

// The reason of a container that could not be started.
inline constexpr char kStartError[] = "StartError";

// One container of a pod. Everything but the ids is guarded by the pod's mutex.
struct Container {
  Container(ContainerId id, PodId pod) : id(std::move(id)), pod(std::move(pod)) {}

  const ContainerId id;
  const PodId pod;

  record::ContainerRecord record;
  bool changing = false;  // somebody has the Turn to start, remove or update it
  bool starting = false;  // the shim has been told to start it and has not answered
  Told told = Told::kNothing;
  ToldToPlugins nri;
  // When the first of those who wait in StopContainer wants SIGKILL.
  std::optional<Deadline> kill_at;
  CpuSample cpu_sample;

  ContainerState state() const { return static_cast<ContainerState>(record.state()); }
};

// One pod. `mutex` guards all below it and is held for reading and changing only, also while a
// record is written (to a tmpfs), never while a shim, a plugin or a disk is waited for. Changed()
// is called after every change.
struct Pod {
  Pod(PodId id, ShimPaths paths, HostPath data)
      : id(std::move(id)), paths(std::move(paths)), data_directory(std::move(data)) {}

  const PodId id;
  const ShimPaths paths;
  const HostPath data_directory;

  ContainerEvents* events = nullptr;  // never changes once the pod is shared; may be null

  std::mutex mutex;
  std::condition_variable changed;
  // After every change: wakes those who wait for one and tells the subscribers of events.
  void Changed();

  record::PodRecord record;
  std::shared_ptr<ShimClient> shim;  // null: none yet, not reconnected yet, or gone
  bool from_pool = false;            // what `shim` is: a machine that waited for this pod
  std::map<std::string, std::shared_ptr<Container>> containers;
  std::map<std::string, std::shared_ptr<ExecWait>> execs;
  CpuSample cpu_sample;
  std::array<PodUsage, pod::StatsRequest::Extent_ARRAYSIZE> usage;  // by extent
  int users = 0;              // calls at work in it (PodUse): its folders stay
  bool tearing_down = false;  // somebody has the Turn to stop or remove it
  bool resizing = false;      // somebody has the Turn to change its limits
  bool connecting = false;    // somebody has the Turn to reconnect its shim
  Told told = Told::kNothing;
  ToldToPlugins nri;

  SandboxState state() const { return static_cast<SandboxState>(record.state()); }
};

// The turn of one caller to carry out a longer change, for as long as this lives; those who want
// the same wait for it. `busy` is one of the flags above.
class Turn {
 public:
  static Result<Turn> Take(const std::shared_ptr<Pod>& pod, bool& busy, Deadline deadline,
                           const CallContext& call);
  Turn(Turn&& other) noexcept
      : pod_(std::move(other.pod_)), busy_(std::exchange(other.busy_, nullptr)) {}
  Turn& operator=(Turn&&) = delete;
  ~Turn();

 private:
  Turn(std::shared_ptr<Pod> pod, bool* busy) : pod_(std::move(pod)), busy_(busy) {}
  std::shared_ptr<Pod> pod_;
  bool* busy_;
};

// Keeps a pod's folders for a call that works in them: teardown waits for the last user before it
// takes anything away (the shim is ended first, so they fail soon).
class PodUse {
 public:
  // The caller holds pod->mutex.
  explicit PodUse(std::shared_ptr<Pod> pod) : pod_(std::move(pod)) { ++pod_->users; }
  PodUse(PodUse&&) = default;
  PodUse& operator=(PodUse&&) = delete;
  ~PodUse();  // takes pod->mutex

 private:
  std::shared_ptr<Pod> pod_;
};

// Moves the record on (kFailedPrecondition where the table does not allow it), in memory only.
Status Advance(record::PodRecord& record, SandboxEvent event);
Status Advance(record::ContainerRecord& record, ContainerEvent event);

// Enters how the container ended: state, exit, reason and message. A presumed exit (nobody saw
// it) gives way to a reported one and never replaces one. Returns false where nothing changed.
bool ApplyExit(record::ContainerRecord& record, const spec::ExitStatus& exit, bool presumed);

// What is said of a container whose end nobody saw.
spec::ExitStatus UnknownExit(const std::string& why);

int64_t NowNanoseconds();  // Unix time

}  // namespace catamaran
