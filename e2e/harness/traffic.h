#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

// TCP as the node's own processes speak it, to addresses of both families. All wait for at most
// some seconds without a byte.

// What a server says until it closes or 64 bytes came; "" where it cannot be reached.
std::string ReadFrom(const std::string& ip, uint16_t port);

using Seconds = std::chrono::duration<double>;
// How long it takes until a server has sent so many bytes and closed.
Result<Seconds> TimeDownload(const std::string& ip, uint16_t port, uint64_t bytes);
// How long it takes until a server that counts has answered that it has so many bytes.
Result<Seconds> TimeUpload(const std::string& ip, uint16_t port, uint64_t bytes);

// Another machine on a link of the node's, with addresses of both families and no route to any pod:
// a network namespace, until destroyed. Says "other" to whoever connects to its port 9000.
class OtherMachine {
 public:
  static constexpr char kNodeV4[] = "192.0.2.2", kNodeV6[] = "2001:db8::2";
  static constexpr char kV4[] = "192.0.2.1", kV6[] = "2001:db8::1";
  static constexpr uint16_t kPort = 9000;

  OtherMachine();
  ~OtherMachine();
  OtherMachine(const OtherMachine&) = delete;
  OtherMachine& operator=(const OtherMachine&) = delete;

  // Empty, or what of it could not be made.
  const std::string& error() const { return error_; }
  // What a shell says there.
  std::string Output(const std::string& script) const;

 private:
  pid_t namespace_ = 0;
  std::string error_;
};

}  // namespace catamaran::e2e
