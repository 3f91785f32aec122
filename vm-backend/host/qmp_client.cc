#include "vm-backend/host/qmp_client.h"

#include <fcntl.h>

#include <nlohmann/json.hpp>

#include "sandbox/base/files.h"
#include "sandbox/base/json_text.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

// The longest answers are lists of devices of some ten KiB.
constexpr size_t kLongestLine = 1 << 20;
constexpr size_t kMostBytesARound = 256 << 10;

constexpr auto kPatience = std::chrono::seconds(60);

}  // namespace

QmpClient::QmpClient(EventLoop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {}

QmpClient::~QmpClient() { *alive_ = false; }

Result<std::unique_ptr<QmpClient>> QmpClient::Create(EventLoop& loop, UniqueFd socket) {
  RETURN_IF_ERROR(SetNonBlocking(socket.get()));
  auto client = std::unique_ptr<QmpClient>(new QmpClient(loop, std::move(socket)));
  ASSIGN_OR_RETURN(client->watch_,
                   loop.WatchFd(client->socket_.get(), EPOLLIN,
                                [raw = client.get()](uint32_t events) { raw->Readable(events); }));
  // Leaves negotiation mode; the answer needs no handling, a refusal shows in what follows.
  client->Execute("qmp_capabilities", nlohmann::json::object(), [](auto) {});
  return client;
}

void QmpClient::OnEvent(EventHandler handler) { on_event_ = std::move(handler); }

void QmpClient::Execute(const std::string& command, const nlohmann::json& arguments, Answer answer,
                        std::chrono::milliseconds patience) {
  Add(command, arguments, std::move(answer), patience, UniqueFd());
}

Status QmpClient::PassDescriptor(const std::string& name, int fd) {
  UniqueFd copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return FailWithErrno("dup a descriptor for QEMU");
  Add(
      "getfd", {{"fdname", name}}, [](auto) {}, kPatience, std::move(copy));
  return {};
}

void QmpClient::PassFile(uint64_t set, UniqueFd file) {
  Add(
      "add-fd", {{"fdset-id", set}}, [](auto) {}, kPatience, std::move(file));
}

void QmpClient::Add(const std::string& command, const nlohmann::json& arguments, Answer answer,
                    std::chrono::milliseconds patience, UniqueFd descriptor) {
  const uint64_t id = next_id_++;
  Pending& pending = pending_[id];
  pending = Pending{command, std::move(answer), {}};
  if (!closed_.empty()) {
    loop_.Post([this, id, alive = alive_] {
      if (*alive)
        Settle(id, Fail(ErrorCode::kUnavailable, "the monitor of QEMU is closed: {}", closed_));
    });
    return;
  }
  auto timer = loop_.RunAfter(patience, [this, id] {
    Settle(id, Fail(ErrorCode::kDeadlineExceeded, "QEMU did not answer in time"));
  });
  if (timer) pending.timer = std::move(*timer);
  nlohmann::json message = {{"execute", command}, {"id", id}};
  if (!arguments.empty()) message["arguments"] = arguments;
  output_.push_back({message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                     std::move(descriptor)});
  Flush();
}

void QmpClient::Settle(uint64_t id, Result<nlohmann::json> result) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  Pending pending = std::move(found->second);
  pending_.erase(found);
  pending.timer.Cancel();
  if (!result)
    result = tl::unexpected<Error>(std::move(result).error().While("qmp " + pending.command));
  pending.answer(std::move(result));
}

void QmpClient::Flush() {
  while (!output_.empty()) {
    Message& next = output_.front();
    const int descriptor = next.descriptor.get();
    const auto count =
        SendWithDescriptors(socket_.get(), next.rest, {&descriptor, descriptor >= 0 ? 1u : 0u});
    if (!count && count.error().system_errno != EAGAIN) return;  // the reader finds out
    if (!count) break;
    next.descriptor.Reset();
    next.rest.erase(0, *count);
    if (next.rest.empty()) output_.pop_front();
  }
  (void)watch_.SetEvents(output_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void QmpClient::Readable(uint32_t events) {
  if (events & EPOLLOUT) Flush();
  const std::shared_ptr<bool> alive = alive_;  // a callback may destroy this
  char buffer[16 << 10];
  for (size_t total = 0; total < kMostBytesARound;) {
    const ssize_t count = recv(socket_.get(), buffer, sizeof buffer, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return Close("QEMU closed it");
    total += static_cast<size_t>(count);
    input_.append(buffer, static_cast<size_t>(count));
    for (size_t end; (end = input_.find('\n')) != std::string::npos;) {
      const std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      Line(line);
      if (!*alive || !closed_.empty()) return;
    }
    if (input_.size() > kLongestLine) return Close("an answer is longer than 1 MiB");
  }
}

void QmpClient::Line(const std::string& line) {
  const auto message = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object()) return Close("an answer is not a JSON object");
  if (message.contains("QMP")) return;  // the greeting
  if (message.contains("event")) {
    const auto data = message.find("data");
    if (on_event_)
      on_event_(TextAt(message, "event"), data != message.end() ? *data : nlohmann::json::object());
    return;
  }
  const auto id = message.find("id");
  if (id == message.end() || !id->is_number_unsigned()) return Close("an answer has no id");
  const auto returned = message.find("return");
  if (returned != message.end()) return Settle(id->get<uint64_t>(), *returned);
  const auto error = message.find("error");
  Settle(id->get<uint64_t>(),
         Fail(ErrorCode::kInternal, "{}",
              error != message.end() && error->is_object() ? TextAt(*error, "desc") : "no result"));
}

void QmpClient::Close(const std::string& reason) {
  if (!closed_.empty()) return;
  closed_ = reason;
  watch_.Cancel();
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && !pending_.empty())
    Settle(pending_.begin()->first,
           Fail(ErrorCode::kUnavailable, "the monitor of QEMU is closed: {}", closed_));
}

}  // namespace catamaran
