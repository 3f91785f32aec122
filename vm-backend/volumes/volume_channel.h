#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace catamaran {

// The bytes between a volume server and its guest's pump: FUSE messages, each followed by a seal,
// and marks. Either end may be killed between any two bytes and come back, so that a message may be
// cut short in the middle of the stream and be completed by what follows: then its seal is wrong,
// it is dropped, and the stream is searched for the next mark.
//
//   pump: begin N ──▶            requests of session N ──▶
//                 ◀── begun N    ◀── answers, changes
//   A new server, or a pump that has lost its place: ◀── begin anew; the pump begins session N+1.
//
// An end that comes back sends kLongestVolumeMessage zeros before its mark: whatever message was
// cut short is then complete, and wrong. Seal and mark are the halves of a secret that only the two
// ends have: what a program writes to a file can be neither. Numbers are of the host's byte order.

// The longest message either way, with its seal.
inline constexpr size_t kLongestVolumeMessage = (1 << 20) + 8192;
inline constexpr size_t kVolumeSecretBytes = 32;

// A message to the guest without a request (unique 0) and with this in the place of an error:
// something changed in a watched volume. FUSE's own notifications have small numbers there.
inline constexpr int32_t kVolumesChanged = 1000;

class VolumeFraming {
 public:
  enum class Mark : uint32_t { kBegin = 1, kBegun = 2, kBeginAnew = 3 };

  // A secret of another size is filled up, or cut.
  explicit VolumeFraming(std::string secret);
  // What follows a message.
  std::string_view seal() const;
  // A mark as it is sent, after zeros where it must end what was cut short.
  std::string MarkBytes(Mark mark, uint64_t session) const;
  static std::string Zeros();

 private:
  friend class VolumeFrameReader;
  std::string secret_;
};

// Takes such a stream apart. Memory is bounded by kLongestVolumeMessage and what is appended at
// once.
class VolumeFrameReader {
 public:
  // Messages are between `shortest`, a header, and `longest` bytes.
  VolumeFrameReader(const VolumeFraming& framing, size_t shortest, size_t longest)
      : framing_(framing), shortest_(shortest), longest_(longest) {}

  void Append(std::span<const std::byte> bytes);
  struct Item {
    std::span<const std::byte> message;  // valid until the next call; empty for a mark
    VolumeFraming::Mark mark{};
    uint64_t session = 0;
  };
  // The next whole message or mark; nothing where more bytes are needed. Begins lost: until a mark
  // and Found() nothing but marks is given.
  std::optional<Item> Next();
  // The mark just given is the one to go on after.
  void Found() { lost_ = false; }

 private:
  std::optional<Item> NextMark();
  size_t used() const { return buffer_.size() - start_; }

  VolumeFraming framing_;
  size_t shortest_, longest_;
  bool lost_ = true;
  std::vector<std::byte> buffer_;
  size_t start_ = 0;
};

}  // namespace catamaran
