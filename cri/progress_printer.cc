#include "cri/progress_printer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace catamaran {
namespace {

double Megabytes(uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

// "sha256:0123456789ab": enough to tell layers apart.
std::string Short(const std::string& layer) { return layer.substr(0, 19); }

}  // namespace

ProgressPrinter::ProgressPrinter()
    : ProgressPrinter(isatty(STDERR_FILENO) == 1,
                      [](const std::string& text) { fputs(text.c_str(), stderr); }) {}

void ProgressPrinter::operator()(const ImageStore::Progress& progress) {
  const std::lock_guard lock(mutex_);
  if (progress.finished) {
    const std::string clearing = Clearing();
    under_way_.erase(progress.layer);
    const std::string done = fmt::format("layer {}: {:.1f} MB done\n", Short(progress.layer),
                                         Megabytes(progress.done_bytes));
    write_(clearing + done + Drawing());
    return;
  }
  if (!terminal_ || progress.total_bytes == 0) return;
  const uint64_t percent = progress.done_bytes * 100 / progress.total_bytes;
  const auto [layer, added] = under_way_.try_emplace(progress.layer);
  if (!added && layer->second.percent == percent) return;
  const std::string clearing = Clearing();
  layer->second = {percent, progress.total_bytes};
  write_(clearing + Drawing());
}

std::string ProgressPrinter::Clearing() const {
  std::string text;
  for (size_t i = 0; i < drawn_; ++i) text += "\x1b[1A\x1b[2K";  // a line up, and empty it
  return text;
}

std::string ProgressPrinter::Drawing() {
  std::string text;
  for (const auto& [name, layer] : under_way_)
    text += fmt::format("layer {}: {:3}% of {:.1f} MB\n", Short(name), layer.percent,
                        Megabytes(layer.total_bytes));
  drawn_ = under_way_.size();
  return text;
}

}  // namespace catamaran
