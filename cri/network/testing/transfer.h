#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "cri/network/testing/sockets.h"
#include "sandbox/base/files.h"

// How fast bytes get from one socket to another, for tests of rates. A busy machine makes nothing
// faster, so what is limited cannot be too fast; what is not is compared with what is.
namespace catamaran {

using Seconds = std::chrono::duration<double>;

inline constexpr size_t kTransferred = 1'500'000;
inline constexpr char kMegabyteASecond[] = "8M";
// At that rate: the bytes less a burst's, and a tenth for clocks that differ.
inline constexpr Seconds kLeastTransferTime{(kTransferred - 100'000) / 1e6 * 0.9};

// To a listener at `address`, from where the caller connects to it.
template <typename ConnectThere>
Seconds TimeTransfer(const UniqueFd& listener, ConnectThere connect_there) {
  const UniqueFd client = connect_there();
  const UniqueFd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const auto begin = std::chrono::steady_clock::now();
  std::thread writer([&] {
    EXPECT_TRUE(WriteAll(client.get(), std::string(kTransferred, 'x')));
    shutdown(client.get(), SHUT_WR);
  });
  size_t received = 0;
  char buffer[65536];
  for (ssize_t count; (count = read(server.get(), buffer, sizeof buffer)) > 0;)
    received += static_cast<size_t>(count);
  writer.join();
  EXPECT_EQ(received, kTransferred);
  return std::chrono::steady_clock::now() - begin;
}

}  // namespace catamaran
