#pragma once

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// The error of one process as another reads it. What comes in may be hostile: unknown codes become
// kUnknown and the text is cut at kMaxErrorText bytes.
inline constexpr size_t kMaxErrorText = 8192;

// A proto3 string that is not UTF-8 makes its whole message unreadable for the peer; each byte that
// is none becomes a question mark.
std::string ValidUtf8(std::string_view text);

spec::Error ErrorToWire(const Error& error);
Error ErrorFromWire(const spec::Error& wire);

}  // namespace catamaran
