#include "vm-backend/host/console_log.h"

#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kKept = 16 << 10;
constexpr size_t kGulp = 64 << 10;
constexpr auto kPause = std::chrono::milliseconds(100);

}  // namespace

Result<std::unique_ptr<ConsoleLog>> ConsoleLog::Create(EventLoop& loop, UniqueFd stream) {
  RETURN_IF_ERROR(SetNonBlocking(stream.get()));
  auto log = std::unique_ptr<ConsoleLog>(new ConsoleLog(loop, std::move(stream)));
  ASSIGN_OR_RETURN(log->watch_, loop.WatchFd(log->stream_.get(), EPOLLIN,
                                             [raw = log.get()](uint32_t) { raw->Read(); }));
  return log;
}

void ConsoleLog::Gulp() {
  char buffer[4096];
  for (size_t total = 0; total < kGulp;) {
    const ssize_t count = read(stream_.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0 || (count < 0 && errno != EAGAIN)) return watch_.Cancel();
    if (count < 0) break;
    total += static_cast<size_t>(count);
    text_.append(buffer, static_cast<size_t>(count));
  }
  if (text_.size() > kKept) text_.erase(0, text_.size() - kKept);
}

void ConsoleLog::Read() {
  Gulp();
  if (!watch_.active() || !watch_.SetEvents(0)) return;
  auto pause = loop_.RunAfter(kPause, [this] { (void)watch_.SetEvents(EPOLLIN); });
  if (pause)
    pause_ = std::move(*pause);
  else
    (void)watch_.SetEvents(EPOLLIN);
}

std::string ConsoleLog::Tail(size_t limit) {
  if (watch_.active()) Gulp();
  std::string tail = text_.size() > limit ? text_.substr(text_.size() - limit) : text_;
  for (char& c : tail)
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  std::erase_if(tail, [](unsigned char c) { return c < 0x20 || c >= 0x7f; });
  const size_t end = tail.find_last_not_of(' ');
  return end == std::string::npos ? std::string() : tail.substr(0, end + 1);
}

}  // namespace catamaran
