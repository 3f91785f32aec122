#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "cri/images/hasher.h"
#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"

namespace catamaran {

// Bytes that arrive one after another. Used from one thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `size` bytes (at least one while there are any); 0 at the end.
  virtual Result<size_t> Read(char* buffer, size_t size) = 0;
};

// A part of an open file, which must stay open; read with pread(2), so parts of one descriptor may
// be read from several threads. kInvalidArgument where the file ends before the part does;
// kDeadlineExceeded where the time is over or `cancelled` says so.
class FilePartSource : public ByteSource {
 public:
  FilePartSource(int fd, uint64_t offset, uint64_t size, Deadline deadline = Deadline::Never(),
                 std::function<bool()> cancelled = {})
      : fd_(fd),
        offset_(offset),
        left_(size),
        deadline_(deadline),
        cancelled_(std::move(cancelled)) {}
  Result<size_t> Read(char* buffer, size_t size) override;

 private:
  int fd_;
  uint64_t offset_;
  uint64_t left_;
  Deadline deadline_;
  std::function<bool()> cancelled_;
};

// Hashes and counts what passes.
class HashingSource : public ByteSource {
 public:
  HashingSource(ByteSource& from, Hasher hasher) : from_(from), hasher_(std::move(hasher)) {}
  Result<size_t> Read(char* buffer, size_t size) override;
  uint64_t bytes() const { return bytes_; }
  // Reads the rest and gives the digest of everything.
  Result<std::string> Drain();

 private:
  ByteSource& from_;
  Hasher hasher_;
  uint64_t bytes_ = 0;
};

}  // namespace catamaran
