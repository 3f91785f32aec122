#include "vm-backend/volumes/request_ledger.h"

#include <sys/mman.h>

#include <cstring>

#include "vm-backend/volumes/fuse_request.h"

namespace catamaran {

fuse_in_header RequestLedger::Header() const {
  fuse_in_header header;
  memcpy(&header, buffer_.data(), sizeof header);
  return header;
}

void RequestLedger::ForgetBuffer() { memset(buffer_.data(), 0, sizeof(fuse_in_header)); }

bool RequestLedger::Add(uint64_t unique) {
  // Numbers are even and grow: most find their own place free.
  const size_t first = unique / 2 % kMostRequests;
  for (size_t i = 0; i < kMostRequests; ++i) {
    uint64_t free = 0;
    if (unanswered_[(first + i) % kMostRequests].compare_exchange_strong(free, unique)) return true;
  }
  return false;
}

bool RequestLedger::NoteBuffer() {
  const fuse_in_header header = Header();
  if (header.opcode == FUSE_INIT && header.len <= init_.size()) {
    memcpy(init_.data(), buffer_.data(), header.len);
    init_size_ = header.len;
    return true;
  }
  return !FuseRequestHasReply(header.opcode) || Add(header.unique);
}

void RequestLedger::Answered(uint64_t unique) {
  if (unique == init_unique()) init_answered_ = true;
  const size_t first = unique / 2 % kMostRequests;
  for (size_t i = 0; i < kMostRequests; ++i) {
    uint64_t its = unique;
    if (unanswered_[(first + i) % kMostRequests].compare_exchange_strong(its, 0)) return;
  }
}

void RequestLedger::TakeBuffered() {
  const fuse_in_header header = Header();
  if (header.len == 0) return;
  // One that was noted already is one request all the same: the kernel passes over the second
  // answer.
  if (!NoteBuffer()) return;
  ForgetBuffer();
}

std::span<const std::byte> RequestLedger::init() const { return {init_.data(), init_size_}; }

uint64_t RequestLedger::init_unique() const {
  if (init_size_ < sizeof(fuse_in_header)) return 0;
  fuse_in_header header;
  memcpy(&header, init_.data(), sizeof header);
  return header.unique;
}

Result<SharedLedger> SharedLedger::Make() {
  void* memory = mmap(nullptr, sizeof(RequestLedger), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return FailWithErrno("map the ledger of requests");
  SharedLedger shared;
  // Zeros are what each of its members begins with.
  shared.ledger_ = static_cast<RequestLedger*>(memory);
  return shared;
}

SharedLedger::~SharedLedger() {
  if (ledger_ != nullptr) munmap(ledger_, sizeof *ledger_);
}

}  // namespace catamaran
