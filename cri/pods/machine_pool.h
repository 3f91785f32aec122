#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cri/config/config.h"
#include "cri/pods/pod.h"

namespace catamaran {

class Pods;

// Machines that wait for their pods: of each handler as many as its configuration says, made one
// after another in the background while no pod is being started.
//
// One that waits is a shim under the id of the pod it will be, in the folder and at the socket of
// that pod, with a prepared sandbox (SandboxBackend::PrepareSandbox) in the cgroup
// WaitingCgroup (cri/pods/shim_link.h). All it lacks is a record: so no list shows it, and a daemon
// that starts sweeps what the one before left waiting, as it does with everything that no record
// owns. Taking it is taking it out of this table; by its record the pod then owns it.
//
// Thread-safe. Callbacks of shims may run until the ShimManager is gone.
class MachinePool {
 public:
  explicit MachinePool(Pods& pods) : pods_(pods) {}
  ~MachinePool() { End(); }

  // Begins to fill it; once. Nothing where no handler has a pool.
  void Start();
  // Ends all that wait, and the filling. Idempotent.
  void End();

  // A machine on loan: it goes on waiting unless it is used.
  class Loan {
   public:
    Loan() = default;
    Loan(Loan&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          handler_(std::move(other.handler_)),
          waiting_(std::move(other.waiting_)) {}
    Loan& operator=(Loan&&) = delete;
    ~Loan();
    explicit operator bool() const { return pool_ != nullptr; }
    const PodId& id() const { return waiting_.pod->id; }
    // The pod that it is from now on: with a shim, and without a record.
    std::shared_ptr<Pod> Use();

   private:
    friend class MachinePool;
    struct Waiting {
      std::shared_ptr<Pod> pod;
      pod::PrepareSandboxResponse suits;
    };
    MachinePool* pool_ = nullptr;
    std::string handler_;
    Waiting waiting_;
  };
  // One that suits a pod with these limits, or an empty loan.
  Loan Take(const HandlerConfig& handler, const spec::Resources& resources);

  // A machine that was used turned out to be none: said and counted.
  void NoteFailedClaim(const std::string& handler, const Error& error);

  // While one lives, and for a moment after it, nothing is made.
  class PodStart {
   public:
    explicit PodStart(MachinePool& pool);
    PodStart(const PodStart&) = delete;
    ~PodStart();

   private:
    MachinePool& pool_;
  };

  struct Facts {
    std::string handler;
    uint32_t wanted = 0;
    size_t waiting = 0;
    uint64_t made = 0, used = 0, lost = 0, failed_claims = 0;
    std::string last_error;
  };
  std::vector<Facts> List();  // of the handlers that have a pool

  // For people and tests, as JSON by handler: how many are wanted, wait, were made, used, lost.
  std::map<std::string, std::string> Info();

 private:
  using Clock = std::chrono::steady_clock;
  using Waiting = Loan::Waiting;
  // The machines of one handler.
  struct Shelf {
    const HandlerConfig* handler = nullptr;
    std::vector<Waiting> waiting;
    int lent = 0;
    // After a failure nothing is tried before `next_try`; the pause doubles with each.
    Clock::time_point next_try, failed_at;
    Clock::duration pause{};
    std::string last_error;
    uint64_t made = 0, used = 0, lost = 0, failed_claims = 0;
  };

  void Run();
  // When there will be something to make; now and `shelf` set: there is.
  Clock::time_point NextToMake(Shelf** shelf);
  void CollectLost();
  void Make(std::unique_lock<std::mutex>& lock, Shelf& shelf);
  Result<Waiting> MakeOne(const HandlerConfig& handler, const std::shared_ptr<Pod>& pod);
  Status Prepare(const HandlerConfig& handler, const std::shared_ptr<Pod>& pod, Waiting* waiting);
  void Discard(const std::shared_ptr<Pod>& pod);
  void NoteFailure(Shelf& shelf, const std::string& message);
  void GiveBack(const std::string& handler, Waiting waiting);
  void Wake();

  Pods& pods_;
  std::mutex mutex_;  // guards all below it; taken before a pod's, never held while one waits
  std::condition_variable wake_;
  std::map<std::string, Shelf> shelves_;
  std::vector<std::shared_ptr<Pod>> lost_;  // to be ended
  std::shared_ptr<Pod> making_;
  int starting_ = 0;
  Clock::time_point last_start_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace catamaran
