#pragma once

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace catamaran {

// Enough that a few pods which do not answer hold up nobody, few enough for a small node.
inline constexpr size_t kParallelPods = 16;

// Calls `function` for every item, on a few threads; returns when all calls have.
template <typename Item, typename Function>
void ForEachInParallel(const std::vector<Item>& items, Function function) {
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i = next++; i < items.size(); i = next++) function(items[i]);
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(items.size(), kParallelPods); ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
}

}  // namespace catamaran
