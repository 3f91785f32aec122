#pragma once

#include <memory>
#include <string>

#include "sandbox/base/result.h"
#include "sandbox/base/strong_types.h"

struct archive;

namespace catamaran {

// Writes a new tar.zst file (0600), one whole text after another.
class TarZstWriter {
 public:
  // kAlreadyExists where the file is there.
  static Result<TarZstWriter> Create(const HostPath& file);
  TarZstWriter(TarZstWriter&&) = default;
  TarZstWriter& operator=(TarZstWriter&&) = default;

  Status Add(const std::string& name, const std::string& text);
  Status Close();  // what was not closed is not whole

 private:
  struct Free {
    void operator()(archive* writer) const;
  };
  explicit TarZstWriter(archive* writer) : writer_(writer) {}
  Status Failed(const std::string& doing) const;

  std::unique_ptr<archive, Free> writer_;
};

}  // namespace catamaran
