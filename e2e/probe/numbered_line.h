#pragma once

#include <cstdint>
#include <cstring>

namespace catamaran::e2e {

// Without the newline.
inline constexpr size_t kNumberedLineSize = 99;

// The n-th line of `probe lines`: its number and 85 characters that follow from it, so that no two
// lines are equal and one that is missing, doubled, mixed or moved is seen. Writes
// kNumberedLineSize bytes.
inline void WriteNumberedLine(uint64_t n, char* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  char* at = out;
  for (uint64_t unit = 1'000'000'000'000; unit > 0; unit /= 10)
    *at++ = static_cast<char>('0' + n / unit % 10);
  *at++ = ' ';
  uint64_t mixed = n;
  while (at < out + kNumberedLineSize) {
    // The step of splitmix64.
    mixed += 0x9e3779b97f4a7c15;
    uint64_t bits = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    bits ^= bits >> 27;
    for (int digit = 0; digit < 16 && at < out + kNumberedLineSize; ++digit, bits >>= 4)
      *at++ = kDigits[bits & 15];
  }
}

}  // namespace catamaran::e2e
