#include "shim/attached_outputs.h"

#include <unistd.h>

#include "sandbox/base/files.h"

namespace catamaran {

Status AttachedOutputs::Add(UniqueFd fd) {
  if (!fd.valid()) return {};
  RETURN_IF_ERROR(SetNonBlocking(fd.get()));
  const Place output = outputs_.insert(outputs_.end(), Output{.fd = std::move(fd)});
  // No events yet: that the reader is gone (EPOLLERR) is always told.
  auto watch = loop_.WatchFd(output->fd.get(), 0, [this, output](uint32_t events) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Drop(output);
    Flush(output);
  });
  if (!watch) {
    outputs_.erase(output);
    return tl::unexpected(std::move(watch).error());
  }
  output->watch = std::move(*watch);
  return {};
}

void AttachedOutputs::Write(std::string_view bytes) {
  for (auto next = outputs_.begin(); next != outputs_.end();) {
    const Place output = next++;
    const bool lagged = !output->rest.empty();
    output->rest += bytes;
    if (lagged) continue;
    ++lagging_;
    Flush(output);
  }
}

void AttachedOutputs::Flush(Place output) {
  size_t taken = 0;
  while (taken < output->rest.size()) {
    const ssize_t count =
        write(output->fd.get(), output->rest.data() + taken, output->rest.size() - taken);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) return Drop(output);
    taken += static_cast<size_t>(count);
  }
  output->rest.erase(0, taken);
  if (!output->rest.empty()) {
    if (taken > 0 || !output->patience.active()) AwaitTaking(output);
    return;
  }
  if (output->ending) return Drop(output);
  --lagging_;
  if (!output->patience.active()) return;  // all at once, as most do
  output->patience.Cancel();
  output->watch.SetEvents(0).map_error([](const Error&) {});
  if (lagging_ == 0) on_ready_();
}

void AttachedOutputs::AwaitTaking(Place output) {
  auto timer = loop_.RunAfter(kPatience, [this, output] { Drop(output); });
  if (!timer || !output->watch.SetEvents(EPOLLOUT)) return Drop(output);
  output->patience = std::move(*timer);
}

void AttachedOutputs::Drop(Place output) {
  const bool lagged = !output->rest.empty() || output->ending;
  outputs_.erase(output);
  if (lagged && --lagging_ == 0) on_ready_();
}

void AttachedOutputs::End() {
  for (auto next = outputs_.begin(); next != outputs_.end();) {
    const Place output = next++;
    if (output->rest.empty())
      outputs_.erase(output);
    else
      output->ending = true;
  }
}

}  // namespace catamaran
