#include "sandbox/container/terminal_pump.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr std::chrono::seconds kPatience(10);

enum class ReadOutcome { kData, kNothing, kEnd };

ReadOutcome ReadSome(int fd, std::string& buffer) {
  char chunk[16384];
  const ssize_t count = read(fd, chunk, sizeof chunk);
  if (count > 0) {
    buffer.append(chunk, count);
    return ReadOutcome::kData;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return ReadOutcome::kNothing;
  return ReadOutcome::kEnd;
}

// False where the other side is gone for good.
bool WriteSome(int fd, std::string& buffer) {
  while (!buffer.empty()) {
    const ssize_t count = write(fd, buffer.data(), buffer.size());
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    buffer.erase(0, count);
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<TerminalPump>> TerminalPump::Start(EventLoop& loop, UniqueFd master,
                                                          UniqueFd in, UniqueFd out) {
  std::unique_ptr<TerminalPump> pump(new TerminalPump(loop));
  TerminalPump* raw = pump.get();
  RETURN_IF_ERROR(SetNonBlocking(master.get()));
  ASSIGN_OR_RETURN(pump->master_watch_, loop.WatchFd(master.get(), EPOLLIN, [raw](uint32_t events) {
    raw->OnMaster(events);
  }));
  if (in.valid()) {
    RETURN_IF_ERROR(SetNonBlocking(in.get()));
    ASSIGN_OR_RETURN(pump->in_watch_,
                     loop.WatchFd(in.get(), EPOLLIN, [raw](uint32_t) { raw->ReadInput(); }));
  }
  if (out.valid()) {
    RETURN_IF_ERROR(SetNonBlocking(out.get()));
    ASSIGN_OR_RETURN(pump->out_watch_,
                     loop.WatchFd(out.get(), 0, [raw](uint32_t) { raw->FlushOutput(); }));
  }
  pump->master_ = std::move(master);
  pump->in_ = std::move(in);
  pump->out_ = std::move(out);
  return pump;
}

Status TerminalPump::Resize(uint32_t columns, uint32_t rows) {
  if (!master_.valid()) return {};
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = static_cast<unsigned short>(rows);
  if (ioctl(master_.get(), TIOCSWINSZ, &size) != 0) return FailWithErrno("resize the terminal");
  return {};
}

void TerminalPump::CloseInput() {
  in_watch_.Cancel();
  in_.Reset();
}

void TerminalPump::OnMaster(uint32_t events) {
  if ((events & EPOLLOUT) != 0) FlushInput();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) ReadMaster();
}

void TerminalPump::ReadMaster() {
  if (printed_.size() < kBufferBytes && !master_ended_) {
    // The end is EIO: nobody has the slave open any more.
    if (ReadSome(master_.get(), printed_) == ReadOutcome::kEnd) {
      master_ended_ = true;
      master_watch_.Cancel();
    }
  }
  FlushOutput();
}

void TerminalPump::FlushOutput() {
  if (!out_.valid() || !WriteSome(out_.get(), printed_)) {
    printed_.clear();
    out_watch_.Cancel();
    out_.Reset();
  }
  UpdateWatches();
  FinishIfDrained();
}

void TerminalPump::ReadInput() {
  if (typed_.size() < kBufferBytes && ReadSome(in_.get(), typed_) == ReadOutcome::kEnd)
    CloseInput();
  FlushInput();
}

void TerminalPump::FlushInput() {
  if (master_ended_ || !WriteSome(master_.get(), typed_)) typed_.clear();
  UpdateWatches();
}

void TerminalPump::UpdateWatches() {
  const auto set = [](EventLoop::Watch& watch, uint32_t events) {
    // A watch that is cancelled meanwhile has nothing to change.
    if (watch.active()) watch.SetEvents(events).map_error([](const Error&) {});
  };
  set(master_watch_, (printed_.size() < kBufferBytes ? EPOLLIN : 0U) |
                         (typed_.empty() ? 0U : static_cast<uint32_t>(EPOLLOUT)));
  set(in_watch_, typed_.size() < kBufferBytes ? EPOLLIN : 0U);
  set(out_watch_, printed_.empty() ? 0U : EPOLLOUT);
}

void TerminalPump::Finish(UniqueFunction<void()> done) {
  finishing_ = true;
  finished_ = std::move(done);
  CloseInput();
  auto timer = loop_.RunAfter(kPatience, [this] {
    printed_.clear();
    master_ended_ = true;
    FinishIfDrained();
  });
  if (timer) patience_ = std::move(*timer);
  ReadMaster();
}

void TerminalPump::FinishIfDrained() {
  if (!finishing_ || !finished_ || !printed_.empty()) return;
  while (!master_ended_ && printed_.empty()) {
    const ReadOutcome outcome = ReadSome(master_.get(), printed_);
    // Somebody may keep the slave open for ever: what is there now is what the process printed.
    if (outcome == ReadOutcome::kData) {
      FlushOutput();
      return;
    }
    master_ended_ = true;
  }
  if (!printed_.empty()) return;
  master_watch_.Cancel();
  patience_.Cancel();
  out_watch_.Cancel();
  out_.Reset();
  auto done = std::move(finished_);
  finished_ = {};
  done();
}

}  // namespace catamaran
