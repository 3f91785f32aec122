#include "cri/operate/top_command.h"

#include <map>
#include <set>
#include <thread>

#include "cri/operate/pod_story.h"
#include "cri/operate/terminal.h"
#include "cri/service/grpc_cri_client.h"

namespace catamaran {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::chrono::seconds kPatience{20};
// A rate takes two readings of the daemon's this far apart.
constexpr milliseconds kRate{1100};
// A pod whose containers are being started still grows its timeline.
constexpr std::chrono::seconds kYoung{60};

// Reads rows, and remembers of each pod what does not change any more.
class Reader {
 public:
  explicit Reader(CriClient& cri) : cri_(cri) {}

  Result<std::vector<PodRow>> Read() {
    ASSIGN_OR_RETURN(const auto pods, cri_.ListPodSandbox({}));
    ASSIGN_OR_RETURN(const auto stats, cri_.ListPodSandboxStats({}));
    ASSIGN_OR_RETURN(const auto containers, cri_.ListContainers({}));
    const nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
    std::vector<PodRow> rows = RowsOf(pods, stats, containers, now);
    std::map<std::string, Start> seen;
    for (PodRow& row : rows) {
      const Start start = StartOf(row);
      if (!start.handler.empty()) row.handler = start.handler;
      row.start = start.took;
      if (row.age > kYoung) seen.emplace(row.id, start);
    }
    known_ = std::move(seen);
    return rows;
  }

  size_t CallsInFlight() {
    v1::StatusRequest request;
    request.set_verbose(true);
    const auto status = cri_.Status(request);
    if (!status) return 0;
    // This one, and subscriptions to events, which always are.
    size_t calls = 0;
    for (const CallFact& call : CallsOf(*status))
      calls += call.method != "Status" && call.method != "GetContainerEvents" ? 1 : 0;
    return calls;
  }

 private:
  struct Start {
    std::string handler;
    nanoseconds took{0};
  };

  // A pod that is gone meanwhile has none.
  Start StartOf(const PodRow& row) {
    if (const auto found = known_.find(row.id); found != known_.end()) return found->second;
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(row.id);
    request.set_verbose(true);
    const auto status = cri_.PodSandboxStatus(request);
    if (!status) return {};
    return {HandlerOf(*status), TotalOf(StepsOf(*status))};
  }

  CriClient& cri_;
  std::map<std::string, Start> known_;
};

Status PrintOnce(Reader& reader, PodOrder order) {
  RETURN_IF_ERROR(reader.Read());
  std::this_thread::sleep_for(kRate);
  ASSIGN_OR_RETURN(auto rows, reader.Read());
  Sort(order, &rows);
  constexpr size_t kWide = 200;  // names whole: somebody may cut columns
  fmt::print("{}", TableText(rows, reader.CallsInFlight(), kWide, 0));
  return {};
}

PodOrder OrderOf(char key, PodOrder now) {
  static const std::map<char, PodOrder> kKeys{{'c', PodOrder::kCpu}, {'m', PodOrder::kMemory},
                                              {'t', PodOrder::kTax}, {'s', PodOrder::kStart},
                                              {'a', PodOrder::kAge}, {'n', PodOrder::kName}};
  const auto found = kKeys.find(key);
  return found == kKeys.end() ? now : found->second;
}

Status Watch(Reader& reader, const TopOptions& options) {
  PodOrder order = options.order;
  // The first error is the command's; a daemon that is restarted later is waited for.
  ASSIGN_OR_RETURN(std::vector<PodRow> rows, reader.Read());
  size_t calls = reader.CallsInFlight();
  Terminal terminal;
  for (std::string trouble;;) {
    Sort(order, &rows);
    const Terminal::Size size = Terminal::SizeNow();
    std::string text = TableText(rows, calls, size.width, size.height > 2 ? size.height - 2 : 1);
    text += trouble.empty() ? "\nsort: c cpu  m memory  t tax  s start  a age  n name    q quit"
                            : "\n" + trouble.substr(0, size.width);
    terminal.Draw(text);
    const char key = terminal.WaitForKey(options.interval);
    if (key == 'q') return {};
    order = OrderOf(key, order);
    if (key != 0) continue;
    auto read = reader.Read();
    trouble = read ? "" : "no answer: " + read.error().message;
    if (!read) continue;
    rows = std::move(*read);
    calls = reader.CallsInFlight();
  }
}

}  // namespace

Status TopCommand(const Config& config, const TopOptions& options) {
  ASSIGN_OR_RETURN(const auto cri, CriClient::Create(config.listen, kPatience));
  Reader reader(*cri);
  if (options.once) return PrintOnce(reader, options.order);
  if (!Terminal::IsThere())
    return Fail(ErrorCode::kFailedPrecondition,
                "standard input and output are no terminal: give --once for a script");
  return Watch(reader, options);
}

}  // namespace catamaran
