#include "sandbox/protocol/error_wire.h"

namespace catamaran {

std::string ValidUtf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const unsigned char lead = text[at];
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    bool good = length > 0 && at + length <= text.size();
    for (size_t i = 1; good && i < length; ++i)
      good = (static_cast<unsigned char>(text[at + i]) & 0xC0) == 0x80;
    // Overlong forms, surrogates and what lies beyond U+10FFFF (RFC 3629).
    if (good && length > 2) {
      const unsigned char second = text[at + 1];
      good = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second > 0x9F) &&
             !(lead == 0xF0 && second < 0x90) && !(lead == 0xF4 && second > 0x8F);
    }
    if (good) {
      valid += text.substr(at, length);
      at += length;
    } else {
      valid += '?';
      ++at;
    }
  }
  return valid;
}

spec::Error ErrorToWire(const Error& error) {
  spec::Error wire;
  wire.set_code(static_cast<uint32_t>(error.code));
  wire.set_system_errno(error.system_errno);
  wire.set_message(ValidUtf8(std::string_view(error.message).substr(0, kMaxErrorText)));
  wire.set_subject(static_cast<spec::Error::Subject>(error.subject));
  return wire;
}

Error ErrorFromWire(const spec::Error& wire) {
  Error error;
  // Success and cancellation are no errors of ours.
  const bool known = wire.code() >= static_cast<uint32_t>(ErrorCode::kUnknown) &&
                     wire.code() <= static_cast<uint32_t>(ErrorCode::kDataLoss);
  error.code = known ? static_cast<ErrorCode>(wire.code()) : ErrorCode::kUnknown;
  error.system_errno = wire.system_errno();
  error.message = wire.message().substr(0, kMaxErrorText);
  // One of a newer build is none to this one.
  if (wire.subject() == spec::Error::IMAGE_VOLUME) error.subject = ErrorSubject::kImageVolume;
  return error;
}

}  // namespace catamaran
