#include "vm-backend/volumes/volume_channel.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace catamaran {
namespace {

constexpr size_t kSealBytes = kVolumeSecretBytes / 2;
// Half the secret, the kind, the session.
constexpr size_t kMarkBytes = kSealBytes + 2 * sizeof(uint64_t);

template <typename T>
T Load(const std::byte* from) {
  T value;
  memcpy(&value, from, sizeof value);
  return value;
}

}  // namespace

VolumeFraming::VolumeFraming(std::string secret) : secret_(std::move(secret)) {
  // Not one byte over and over: the end of a seal must not look like the beginning of a mark.
  while (secret_.size() < kVolumeSecretBytes) secret_ += static_cast<char>(secret_.size());
  secret_.resize(kVolumeSecretBytes);
}

std::string_view VolumeFraming::seal() const {
  return std::string_view(secret_).substr(0, kSealBytes);
}

std::string VolumeFraming::MarkBytes(Mark mark, uint64_t session) const {
  const uint64_t numbers[2] = {static_cast<uint64_t>(mark), session};
  return secret_.substr(kSealBytes) +
         std::string(reinterpret_cast<const char*>(numbers), sizeof numbers);
}

std::string VolumeFraming::Zeros() { return std::string(kLongestVolumeMessage, '\0'); }

void VolumeFrameReader::Append(std::span<const std::byte> bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(start_));
  start_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<VolumeFrameReader::Item> VolumeFrameReader::Next() {
  if (lost_) return NextMark();
  if (used() < sizeof(uint32_t)) return std::nullopt;
  const std::byte* message = buffer_.data() + start_;
  const size_t length = Load<uint32_t>(message);
  const bool possible = length >= shortest_ && length <= longest_;
  if (possible && used() < length + kSealBytes) return std::nullopt;
  if (!possible || memcmp(message + length, framing_.seal().data(), kSealBytes) != 0) {
    // The mark may be within what looked like a message.
    lost_ = true;
    return NextMark();
  }
  start_ += length + kSealBytes;
  return Item{{message, length}};
}

std::optional<VolumeFrameReader::Item> VolumeFrameReader::NextMark() {
  const auto begin = buffer_.begin() + static_cast<ptrdiff_t>(start_);
  const auto* half = reinterpret_cast<const std::byte*>(framing_.secret_.data()) + kSealBytes;
  const auto found = std::search(begin, buffer_.end(),
                                 std::boyer_moore_horspool_searcher(half, half + kSealBytes));
  if (found == buffer_.end()) {
    // It may have begun.
    start_ = buffer_.size() - std::min(used(), kSealBytes - 1);
    return std::nullopt;
  }
  start_ = static_cast<size_t>(found - buffer_.begin());
  if (used() < kMarkBytes) return std::nullopt;
  const std::byte* numbers = buffer_.data() + start_ + kSealBytes;
  Item item;
  item.mark = static_cast<VolumeFraming::Mark>(Load<uint64_t>(numbers));
  item.session = Load<uint64_t>(numbers + sizeof(uint64_t));
  start_ += kMarkBytes;
  return item;
}

}  // namespace catamaran
