#pragma once

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace catamaran {

// Calls `function` for every item, on at most `threads` threads of which the caller's is one;
// returns when all calls have. Where the machine gives no more threads it takes longer.
template <typename Item, typename Function>
void ForEachInParallel(const std::vector<Item>& items, size_t threads, Function function) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < items.size(); i = next++) function(items[i]);
  };
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < std::min(items.size(), threads)) others.emplace_back(work);
  } catch (const std::system_error&) {
  }
  work();
  for (auto& thread : others) thread.join();
}

}  // namespace catamaran
