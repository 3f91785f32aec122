#include "sandbox/backend/fake_process.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "sandbox/base/files.h"

namespace catamaran {

FakeProcess::FakeProcess(EventLoop& loop, std::vector<std::string> args, Stdio stdio, OnEnd on_end)
    : loop_(loop), args_(std::move(args)), in_(std::move(stdio.in)), on_end_(std::move(on_end)) {
  out_.fd = std::move(stdio.out);
  err_.fd = std::move(stdio.err);
  err_.next_line = 1;
  for (UniqueFd* fd : {&in_, &out_.fd, &err_.fd})
    if (fd->valid()) (void)SetNonBlocking(fd->get());
  loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired() && !finished_) Begin();
  });
}

void FakeProcess::Begin() {
  const std::string program = args_.empty() ? "" : args_[0];
  const int number = args_.size() > 1 ? atoi(args_[1].c_str()) : 0;
  if (program == "exit") return Finish({number, 0, false});
  if (program == "kill") return Finish({128 + number, number, false});
  if (program == "oom") return Finish({128 + SIGKILL, SIGKILL, true});
  if (program == "cat") {
    copies_ = true;
    return CopyInput();
  }
  if (program == "print") {
    for (size_t i = 1; i < args_.size(); ++i) out_.buffer += (i > 1 ? " " : "") + args_[i];
    out_.buffer += "\n";
  } else if (program == "lines" && args_.size() > 2) {
    lines_ = atol(args_[1].c_str());
    line_length_ = std::max(12l, atol(args_[2].c_str()));
  } else {
    return;
  }
  writing_ = true;
  Pump(out_);
  if (!finished_) Pump(err_);
}

// Line i is its number and letters, LENGTH bytes with the newline; even ones go to stdout.
bool FakeProcess::Refill(Output& output) {
  while (output.next_line < lines_ && output.buffer.size() < 16384) {
    std::string line = fmt::format("{:010} ", output.next_line);
    line.resize(line_length_ - 1, static_cast<char>('a' + output.next_line % 26));
    output.buffer += line + "\n";
    output.next_line += 2;
  }
  return !output.buffer.empty();
}

void FakeProcess::Pump(Output& output) {
  output.watch.Cancel();
  while (output.fd.valid() && Refill(output)) {
    const ssize_t count = write(output.fd.get(), output.buffer.data(), output.buffer.size());
    if (count >= 0) {
      output.buffer.erase(0, count);
      continue;
    }
    if (errno != EAGAIN) {
      output.fd.Reset();
      break;
    }
    auto watch =
        loop_.WatchFd(output.fd.get(), EPOLLOUT, [this, &output](uint32_t) { Pump(output); });
    if (watch) output.watch = std::move(*watch);
    return;
  }
  if (copies_) return CopyInput();
  const auto has_more = [this](Output& stream) { return stream.fd.valid() && Refill(stream); };
  if (writing_ && !has_more(out_) && !has_more(err_)) Finish({0, 0, false});
}

void FakeProcess::CopyInput() {
  if (!in_.valid()) return Finish({0, 0, false});
  char buffer[4096];
  const ssize_t count = read(in_.get(), buffer, sizeof buffer);
  if (count > 0) {
    in_watch_.Cancel();
    out_.buffer.append(buffer, count);
    // Through the loop, however fast its input is.
    loop_.Post([this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired() && !finished_) Pump(out_);
    });
    return;
  }
  if (count == 0 || errno != EAGAIN) return Finish({0, 0, false});
  if (in_watch_.active()) return;
  auto watch = loop_.WatchFd(in_.get(), EPOLLIN, [this](uint32_t) { CopyInput(); });
  if (watch) in_watch_ = std::move(*watch);
}

void FakeProcess::Signal(int signal) {
  if (!args_.empty() && args_[0] == "trap" && signal != SIGKILL) return;
  Finish({128 + signal, signal, false});
}

void FakeProcess::Finish(End end) {
  if (finished_) return;
  finished_ = true;
  in_watch_.Cancel();
  out_.watch.Cancel();
  err_.watch.Cancel();
  in_.Reset();
  out_.fd.Reset();
  err_.fd.Reset();
  loop_.Post([this, alive = std::weak_ptr<int>(alive_), end] {
    if (alive.expired()) return;
    auto on_end = std::move(on_end_);  // it destroys this process
    on_end(end);
  });
}

}  // namespace catamaran
