#include "cri/pods/machine_pool.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cri/base/parallel.h"
#include "cri/pods/identity.h"
#include "cri/pods/pods.h"
#include "cri/pods/shim_link.h"
#include "cri/pods/teardown.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using std::chrono::seconds;

// A pod's containers are created and started right after it: they go first.
constexpr seconds kQuiet{1};
constexpr seconds kFirstPause{1}, kLongestPause{300};
// A clone takes a fraction of a second; on a busy machine nobody waits for this one.
constexpr seconds kMakingLimit{120}, kEndLimit{20};
constexpr size_t kEndedAtOnce = 8;

bool Within(uint64_t limit, const pod::PrepareSandboxResponse::Range& range) {
  return limit == 0 ||
         (limit > range.above() && (range.at_most() == 0 || limit <= range.at_most()));
}

bool Suits(const pod::PrepareSandboxResponse& machine, const spec::Resources& resources) {
  uint64_t cpu_millis = 0;
  if (resources.cpu_quota_us() > 0 && resources.cpu_period_us() > 0)
    cpu_millis =
        static_cast<uint64_t>((resources.cpu_quota_us() * 1000 + resources.cpu_period_us() - 1) /
                              resources.cpu_period_us());
  const int64_t memory = std::max<int64_t>(resources.memory_limit_bytes(), 0);
  return Within(static_cast<uint64_t>(memory), machine.memory_limit_bytes()) &&
         Within(cpu_millis, machine.cpu_limit_millis());
}

// Why it is none any more; empty where it is.
std::string WhyLost(Pod& pod) {
  std::lock_guard lock(pod.mutex);
  if (!pod.record.message().empty()) return pod.record.message();
  if (!pod.shim || !pod.shim->alive()) return "its shim is gone";
  return "";
}

}  // namespace

void MachinePool::Start() {
  for (const HandlerConfig& handler : pods_.config().handlers)
    if (handler.pool > 0) shelves_[handler.name].handler = &handler;
  if (!shelves_.empty()) thread_ = std::thread([this] { Run(); });
}

void MachinePool::End() {
  std::vector<std::shared_ptr<Pod>> rest;
  std::shared_ptr<Pod> making;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    making = making_;
  }
  wake_.notify_all();
  // Whoever waits for it stops waiting.
  if (making) (void)EndShim(pods_, making, Deadline::After(kEndLimit));
  if (thread_.joinable()) thread_.join();
  {
    std::lock_guard lock(mutex_);
    for (auto& [name, shelf] : shelves_)
      for (Waiting& waiting : std::exchange(shelf.waiting, {})) rest.push_back(waiting.pod);
    for (auto& pod : std::exchange(lost_, {})) rest.push_back(pod);
  }
  ForEachInParallel(rest, kEndedAtOnce, [this](const std::shared_ptr<Pod>& pod) { Discard(pod); });
}

MachinePool::Loan MachinePool::Take(const HandlerConfig& handler,
                                    const spec::Resources& resources) {
  Loan loan;
  std::lock_guard lock(mutex_);
  CollectLost();
  const auto shelf = shelves_.find(handler.name);
  if (shelf == shelves_.end() || stopping_) return loan;
  auto& waiting = shelf->second.waiting;
  const auto found = std::find_if(waiting.begin(), waiting.end(),
                                  [&](const Waiting& one) { return Suits(one.suits, resources); });
  if (found == waiting.end()) return loan;
  loan.pool_ = this;
  loan.handler_ = handler.name;
  loan.waiting_ = std::move(*found);
  waiting.erase(found);
  ++shelf->second.lent;
  return loan;
}

MachinePool::Loan::~Loan() {
  if (pool_ != nullptr) pool_->GiveBack(handler_, std::move(waiting_));
}

std::shared_ptr<Pod> MachinePool::Loan::Use() {
  MachinePool& pool = *std::exchange(pool_, nullptr);
  {
    std::lock_guard lock(pool.mutex_);
    Shelf& shelf = pool.shelves_.at(handler_);
    --shelf.lent;
    ++shelf.used;
  }
  pool.wake_.notify_all();
  return std::move(waiting_.pod);
}

void MachinePool::GiveBack(const std::string& handler, Waiting waiting) {
  std::lock_guard lock(mutex_);
  Shelf& shelf = shelves_.at(handler);
  --shelf.lent;
  shelf.waiting.push_back(std::move(waiting));
}

void MachinePool::NoteFailedClaim(const std::string& handler, const Error& error) {
  {
    std::lock_guard lock(mutex_);
    const auto shelf = shelves_.find(handler);
    if (shelf != shelves_.end()) ++shelf->second.failed_claims;
    if (shelf != shelves_.end()) shelf->second.last_error = error.message;
  }
  pods_.Notice("handler " + handler + ": a pod starts without the pool: " + error.message);
}

MachinePool::PodStart::PodStart(MachinePool& pool) : pool_(pool) {
  std::lock_guard lock(pool_.mutex_);
  ++pool_.starting_;
}

MachinePool::PodStart::~PodStart() {
  {
    std::lock_guard lock(pool_.mutex_);
    --pool_.starting_;
    pool_.last_start_ = Clock::now();
  }
  pool_.wake_.notify_all();
}

std::vector<MachinePool::Facts> MachinePool::List() {
  std::lock_guard lock(mutex_);
  std::vector<Facts> facts;
  for (const auto& [name, shelf] : shelves_)
    facts.push_back({name, shelf.handler->pool, shelf.waiting.size(), shelf.made, shelf.used,
                     shelf.lost, shelf.failed_claims, shelf.last_error});
  return facts;
}

std::map<std::string, std::string> MachinePool::Info() {
  nlohmann::json info;
  for (const Facts& pool : List())
    info[pool.handler] = {{"wanted", pool.wanted},       {"waiting", pool.waiting},
                          {"made", pool.made},           {"used", pool.used},
                          {"lost", pool.lost},           {"failedClaims", pool.failed_claims},
                          {"lastError", pool.last_error}};
  if (info.is_null()) return {};
  return {{"pool", info.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}};
}

void MachinePool::Wake() {
  { std::lock_guard lock(mutex_); }  // not between its look and its wait
  wake_.notify_all();
}

void MachinePool::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    CollectLost();
    if (!lost_.empty()) {
      const auto pod = std::move(lost_.back());
      lost_.pop_back();
      lock.unlock();
      Discard(pod);
      lock.lock();
      continue;
    }
    Shelf* shelf = nullptr;
    const Clock::time_point next = NextToMake(&shelf);
    if (shelf != nullptr)
      Make(lock, *shelf);
    else if (next == Clock::time_point::max())
      wake_.wait(lock);
    else
      wake_.wait_until(lock, next);
  }
}

MachinePool::Clock::time_point MachinePool::NextToMake(Shelf** shelf) {
  const Clock::time_point now = Clock::now();
  Clock::time_point next = Clock::time_point::max();
  if (starting_ > 0) return next;  // its end wakes us
  for (auto& [name, one] : shelves_) {
    if (one.waiting.size() + one.lent >= one.handler->pool) continue;
    const Clock::time_point due = std::max(one.next_try, last_start_ + kQuiet);
    if (due <= now) *shelf = &one;
    next = std::min(next, due);
  }
  return next;
}

void MachinePool::CollectLost() {
  for (auto& [name, shelf] : shelves_) {
    for (auto one = shelf.waiting.begin(); one != shelf.waiting.end();) {
      const std::string why = WhyLost(*one->pod);
      if (why.empty()) {
        ++one;
        continue;
      }
      ++shelf.lost;
      NoteFailure(shelf, "a waiting machine is lost: " + why);
      lost_.push_back(std::move(one->pod));
      one = shelf.waiting.erase(one);
      wake_.notify_all();
    }
  }
}

void MachinePool::NoteFailure(Shelf& shelf, const std::string& message) {
  const Clock::time_point now = Clock::now();
  const bool again = shelf.pause.count() > 0 && now - shelf.failed_at < 2 * shelf.pause + kQuiet;
  shelf.pause = again ? std::min<Clock::duration>(2 * shelf.pause, kLongestPause) : kFirstPause;
  shelf.failed_at = now;
  shelf.next_try = now + shelf.pause;
  if (message != shelf.last_error)
    pods_.Notice("pool of handler " + shelf.handler->name + ": " + message);
  shelf.last_error = message;
}

void MachinePool::Make(std::unique_lock<std::mutex>& lock, Shelf& shelf) {
  auto id = NewId();
  if (!id) return NoteFailure(shelf, id.error().message);
  const auto pod = pods_.NewPod(PodId(*id));
  making_ = pod;
  lock.unlock();
  auto made = MakeOne(*shelf.handler, pod);
  if (!made) Discard(pod);
  lock.lock();
  making_.reset();
  if (made) {
    ++shelf.made;
    shelf.waiting.push_back(std::move(*made));
  } else if (!stopping_) {
    NoteFailure(shelf, made.error().message);
  }
}

Result<MachinePool::Waiting> MachinePool::MakeOne(const HandlerConfig& handler,
                                                  const std::shared_ptr<Pod>& pod) {
  Waiting waiting{.pod = pod, .suits = {}};
  RETURN_IF_ERROR(Prepare(handler, pod, &waiting));
  return waiting;
}

Status MachinePool::Prepare(const HandlerConfig& handler, const std::shared_ptr<Pod>& pod,
                            Waiting* waiting) {
  const Deadline deadline = Deadline::After(kMakingLimit);
  const std::string cgroup = WaitingCgroup(pods_, pod->id);
  pod::PrepareSandboxRequest request;
  spec::SandboxSpec& sandbox = *request.mutable_sandbox();
  sandbox.set_pod_id(pod->id.value());
  sandbox.set_state_directory((pod->paths.folder / "state").string());
  sandbox.set_data_directory(pod->data_directory.string());
  sandbox.set_cgroup_path(cgroup);
  *sandbox.mutable_machine() = handler.machine;
  RETURN_IF_ERROR(MakeDirectories(sandbox.state_directory(), 0700));
  AbortStep();
  RETURN_IF_ERROR(MakeDirectories(sandbox.data_directory()));
  AbortStep();
  pods_.KeepTemplates();
  ShimClient::Events events = EventsOf(pods_, pod);
  events.on_event = [this, next = std::move(events.on_event)](const pod::Event& event) {
    next(event);
    if (event.has_failed()) Wake();
  };
  events.on_gone = [this, next = std::move(events.on_gone)] {
    next();
    Wake();
  };
  RETURN_IF_ERROR(
      StartShim(pods_, pod, ShimManager::Backend::kVm, cgroup, std::move(events), deadline));
  std::shared_ptr<ShimClient> shim;
  {
    std::lock_guard lock(pod->mutex);
    pod->record.mutable_sandbox()->set_cgroup_path(cgroup);
    shim = pod->shim;
    pod->from_pool = true;
  }
  if (!shim) return Fail(ErrorCode::kUnavailable, "its shim ended at once");
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return Fail(ErrorCode::kAborted, "the daemon ends");
  }
  ASSIGN_OR_RETURN(waiting->suits, shim->PrepareSandbox(request, deadline));
  return {};
}

void MachinePool::Discard(const std::shared_ptr<Pod>& pod) {
  const CallContext call{.deadline = Deadline::After(kEndLimit)};
  if (auto gone = DiscardUnrecorded(pods_, pod, call); !gone)
    pods_.Notice({.pod = pod->id.value()}, "end a machine that waited: " + gone.error().message);
}

}  // namespace catamaran
