#include "shim/client/journal_format.h"

#include "sandbox/base/files.h"
#include "sandbox/protocol/frame.h"

namespace catamaran {
namespace {

constexpr size_t kMaxJournal = 64 << 20;

void PutNumber(std::string& to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to += static_cast<char>(value >> (8 * i));
}

uint32_t GetNumber(std::string_view from) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i)
    value |= static_cast<uint32_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  return value;
}

}  // namespace

std::string EncodeJournalRecord(const pod::ProcessExited& exited) {
  const std::string body = exited.SerializeAsString();
  std::string record;
  PutNumber(record, body.size());
  PutNumber(record, Crc32c(body));
  return record + body;
}

Result<std::vector<pod::ProcessExited>> ReadJournalFile(const std::string& path) {
  std::vector<pod::ProcessExited> exits;
  auto content = ReadFile(path, kMaxJournal);
  if (!content && content.error().system_errno == ENOENT) return exits;
  if (!content) return tl::unexpected(std::move(content).error());
  std::string_view rest(*content);
  if (!rest.starts_with(kJournalMagic))
    return Fail(ErrorCode::kDataLoss, "{} is no exit journal of a version known here", path);
  rest.remove_prefix(kJournalMagic.size());
  while (rest.size() >= 8) {
    const uint32_t length = GetNumber(rest), checksum = GetNumber(rest.substr(4));
    if (rest.size() - 8 < length) break;
    const std::string_view body = rest.substr(8, length);
    pod::ProcessExited exited;
    if (Crc32c(body) != checksum || !exited.ParseFromArray(body.data(), length)) break;
    exits.push_back(std::move(exited));
    rest.remove_prefix(8 + length);
  }
  return exits;
}

}  // namespace catamaran
