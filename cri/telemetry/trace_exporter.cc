#include "cri/telemetry/trace_exporter.h"

#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "cri/telemetry/otlp_post.h"

namespace catamaran {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLastWords{1};

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

size_t SpansOf(const std::vector<FinishedTrace>& traces) {
  size_t spans = 0;
  for (const FinishedTrace& trace : traces) spans += trace.spans.size();
  return spans;
}

const char* NameOf(OtlpPost::Outcome outcome) {
  switch (outcome) {
    case OtlpPost::Outcome::kTaken:
      return "sent";
    case OtlpPost::Outcome::kRefused:
      return "refused";
    case OtlpPost::Outcome::kLater:
      return "failed";
  }
  return "failed";
}

class Exporter final : public TraceExporter {
 public:
  Exporter(Meters& meters, Options options)
      : meters_(meters), options_(std::move(options)), thread_([this] { Run(); }) {}
  ~Exporter() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      give_up_at_ = Clock::now() + kLastWords;
    }
    changed_.notify_all();
    thread_.join();
  }

  Status Replace(const TracingConfig& config) override {
    std::shared_ptr<OtlpPost> collector;
    if (!config.endpoint.empty()) {
      ASSIGN_OR_RETURN(collector, OtlpPost::Open(config, options_.version));
    }
    const std::lock_guard lock(mutex_);
    collector_ = std::move(collector);
    service_ = config.service_name;
    changed_.notify_all();
    return {};
  }

  void Offer(FinishedTrace trace) override {
    const size_t spans = trace.spans.size();
    std::unique_lock lock(mutex_);
    if (collector_ == nullptr || ending_) return;
    if (queued_ + spans > kMostQueued) {
      lock.unlock();
      return meters_.SpansEnded("queue_full", spans);
    }
    queued_ += spans;
    queue_.push_back(std::move(trace));
    if (queue_.size() == 1 || queued_ >= kBatch) changed_.notify_all();
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      changed_.wait_for(lock, options_.gather, [this] { return ending_ || queued_ >= kBatch; });
      SendBatch(lock);
    }
  }

  std::vector<FinishedTrace> TakeBatch() {
    std::vector<FinishedTrace> batch;
    for (size_t spans = 0; !queue_.empty() && (batch.empty() || spans < kBatch);
         queue_.pop_front()) {
      spans += queue_.front().spans.size();
      batch.push_back(std::move(queue_.front()));
    }
    queued_ -= SpansOf(batch);
    return batch;
  }

  void SendBatch(std::unique_lock<std::mutex>& lock) {
    const auto batch = TakeBatch();
    const TraceSource source{service_, options_.version, node_};
    lock.unlock();  // calls that end meanwhile wait for nothing
    const std::string body = EncodeTraces(batch, source);
    lock.lock();
    const auto [answer, known] = Deliver(lock, body);
    if (!known) return meters_.SpansEnded("failed", SpansOf(batch));  // switched off meanwhile
    RejectedSpans rejected;
    if (answer.outcome == OtlpPost::Outcome::kTaken) rejected = DecodeExportAnswer(answer.body);
    rejected.count = std::min<uint64_t>(rejected.count, SpansOf(batch));
    meters_.SpansEnded(NameOf(answer.outcome), SpansOf(batch) - rejected.count);
    if (rejected.count > 0) meters_.SpansEnded("refused", rejected.count);
    const bool all = answer.outcome == OtlpPost::Outcome::kTaken && rejected.count == 0;
    Say(lock, all, answer.why.empty() ? "the collector refused some: " + rejected.why : answer.why);
  }

  struct Delivery {
    OtlpPost::Answer answer;
    bool known = false;
  };
  Delivery Deliver(std::unique_lock<std::mutex>& lock, const std::string& body) {
    Delivery delivery;
    std::chrono::milliseconds pause = options_.first_pause;
    for (int attempt = 1; attempt <= kAttempts; ++attempt, pause *= 2) {
      const auto collector = collector_;
      if (collector == nullptr) return {};
      lock.unlock();
      delivery = {collector->Post(body, kPatience, [this] { return GivesUp(); }), true};
      lock.lock();
      if (delivery.answer.outcome != OtlpPost::Outcome::kLater || ending_) break;
      Say(lock, /*works=*/false, delivery.answer.why);
      const std::chrono::milliseconds asked =
          std::max<std::chrono::milliseconds>(pause, delivery.answer.pause);
      if (attempt < kAttempts)
        changed_.wait_for(lock, std::min<std::chrono::milliseconds>(asked, kLongestPause),
                          [this] { return ending_; });
    }
    return delivery;
  }

  bool GivesUp() {
    const std::lock_guard lock(mutex_);
    return ending_ && Clock::now() >= give_up_at_;
  }

  // A collector that stays away is one line in the log, not one a second.
  void Say(std::unique_lock<std::mutex>& lock, bool works, const std::string& why) {
    if (std::exchange(works_, works) == works || !options_.notice) return;
    lock.unlock();
    options_.notice(works ? "traces are taken by the collector again"
                          : "traces are dropped: " + why);
    lock.lock();
  }

  Meters& meters_;
  const Options options_;
  const std::string node_ = HostName();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<OtlpPost> collector_;  // null: nowhere
  std::string service_;
  std::deque<FinishedTrace> queue_;
  size_t queued_ = 0;  // spans in it
  bool works_ = true;
  bool ending_ = false;
  Clock::time_point give_up_at_;
  std::thread thread_;  // last: it uses all of these
};

}  // namespace

std::unique_ptr<TraceExporter> TraceExporter::Start(Meters& meters, Options options) {
  return std::make_unique<Exporter>(meters, std::move(options));
}

}  // namespace catamaran
