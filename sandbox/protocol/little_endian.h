#pragma once

#include <cstddef>
#include <cstdint>

namespace catamaran {

// Integers as they are on the wire, at any address.
template <typename T>
void PutLittleEndian(char* at, T value) {
  for (size_t i = 0; i < sizeof value; ++i) at[i] = static_cast<char>(value >> (8 * i));
}

template <typename T>
T GetLittleEndian(const char* at) {
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i)
    value |= static_cast<T>(static_cast<unsigned char>(at[i])) << (8 * i);
  return value;
}

}  // namespace catamaran
