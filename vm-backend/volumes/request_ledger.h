#pragma once

#include <linux/fuse.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sandbox/base/result.h"
#include "vm-backend/volumes/volume_channel.h"

namespace catamaran {

// What outlives a pump's processes: which of the kernel's requests have been taken from /dev/fuse
// and not been answered. In memory that the agent and each pump it starts share; one process adds,
// one removes. A process may be killed between any two steps: a request is then still in here, if
// it was answered too, and an answer more does no harm.
class RequestLedger {
 public:
  static constexpr size_t kMostRequests = 4096;

  // Where requests are read to; the kernel writes here, so that one that was read is here whatever
  // becomes of its reader.
  std::span<std::byte> buffer() { return buffer_; }
  // Before a read.
  void ForgetBuffer();
  // The request in the buffer: notes it if it has an answer, keeps a copy of INIT. False where
  // kMostRequests are under way: try again later.
  bool NoteBuffer();

  // The request has been answered.
  void Answered(uint64_t unique);

  // Those that have no answer, with the one in the buffer; afterwards there are none. INIT is kept.
  template <typename Function>
  void TakeUnanswered(Function function) {
    TakeBuffered();
    for (auto& slot : unanswered_)
      if (const uint64_t unique = slot.exchange(0); unique != 0) function(unique);
  }

  // The kernel's INIT: a new server has to hear it too. Empty where there was none.
  std::span<const std::byte> init() const;
  uint64_t init_unique() const;
  bool init_answered() const { return init_answered_; }

 private:
  void TakeBuffered();
  bool Add(uint64_t unique);
  fuse_in_header Header() const;

  std::array<std::atomic<uint64_t>, kMostRequests> unanswered_;
  std::atomic<bool> init_answered_;
  std::atomic<uint32_t> init_size_;
  alignas(fuse_in_header) std::array<std::byte, 512> init_;
  alignas(4096) std::array<std::byte, kLongestVolumeMessage> buffer_;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// A mapping of one, zeroed, shared with later children.
class SharedLedger {
 public:
  static Result<SharedLedger> Make();
  SharedLedger() = default;
  SharedLedger(SharedLedger&& other) noexcept { std::swap(ledger_, other.ledger_); }
  SharedLedger& operator=(SharedLedger&& other) noexcept {
    std::swap(ledger_, other.ledger_);
    return *this;
  }
  ~SharedLedger();
  RequestLedger* operator->() const { return ledger_; }
  RequestLedger& operator*() const { return *ledger_; }

 private:
  RequestLedger* ledger_ = nullptr;
};

}  // namespace catamaran
