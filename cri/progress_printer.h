#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "cri/images/image_store.h"

namespace catamaran {

// Shows on a command line how the layers of an image come: a line for each that is done; on a
// terminal also a line for each under way, redrawn where it stands. Thread-safe.
class ProgressPrinter {
 public:
  ProgressPrinter(bool terminal, std::function<void(const std::string&)> write)
      : terminal_(terminal), write_(std::move(write)) {}
  // For standard error.
  ProgressPrinter();

  void operator()(const ImageStore::Progress& progress);

 private:
  struct Layer {
    uint64_t percent = 0;
    uint64_t total_bytes = 0;
  };
  // What takes the lines under way off the screen.
  std::string Clearing() const;
  std::string Drawing();

  const bool terminal_;
  const std::function<void(const std::string&)> write_;
  std::mutex mutex_;
  std::map<std::string, Layer> under_way_;
  size_t drawn_ = 0;  // lines
};

}  // namespace catamaran
