#pragma once

#include <linux/fuse.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "vm-backend/volumes/volume_channel.h"

namespace catamaran {

// FUSE requests as no kernel would send them, byte for byte, over the volume channel. The framing
// is that of any guest, which knows the channel's secret.
class FuseClient {
 public:
  FuseClient(int port, const std::string& secret)
      : port_(port), framing_(secret), reader_(framing_, sizeof(fuse_out_header), 2u << 20) {}

  struct Reply {
    int error = 0;  // errno; 0 for success
    std::string body;
    std::string Text() const;  // "ok" or the errno
    uint64_t node() const;     // of a lookup's
  };
  // Begins a session of the channel, then FUSE's.
  Reply Init();
  // Sends a request and waits for its answer; ETIMEDOUT after 20 s.
  Reply Ask(uint32_t opcode, uint64_t node, std::string_view body);
  Reply Lookup(uint64_t folder, std::string_view name);
  // All of a file, at most 4 KiB; empty where any step fails.
  std::string ReadFile(uint64_t node);
  // Bytes as they are.
  void Send(std::string_view bytes);
  std::string_view seal() const { return framing_.seal(); }
  static std::string Header(uint32_t length, uint32_t opcode, uint64_t node, uint64_t unique);

 private:
  // The next message or mark; nothing after 20 s without.
  std::optional<VolumeFrameReader::Item> Next();

  int port_;
  const VolumeFraming framing_;
  VolumeFrameReader reader_;
  uint64_t unique_ = 2;
};

template <typename T>
std::string Bytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace catamaran
