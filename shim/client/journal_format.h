#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/backend/pod_protocol.pb.h"
#include "sandbox/base/result.h"

namespace catamaran {

// The file format of ../exit_journal.h, apart from it because the daemon reads what shims wrote.
inline constexpr std::string_view kJournalMagic = "CTMJRNL1";

std::string EncodeJournalRecord(const pod::ProcessExited& exited);
Result<std::vector<pod::ProcessExited>> ReadJournalFile(const std::string& path);

}  // namespace catamaran
