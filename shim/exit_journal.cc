#include "shim/exit_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "shim/client/journal_format.h"

namespace catamaran {

Result<ExitJournal> ExitJournal::Create(const std::string& path) {
  ExitJournal journal(path);
  RETURN_IF_ERROR(ReplaceFile(path, kJournalMagic, 0600, Durability::kProcessCrash));
  RETURN_IF_ERROR(journal.Open(O_WRONLY | O_APPEND));
  return journal;
}

Result<std::vector<pod::ProcessExited>> ExitJournal::Read(const std::string& path) {
  return ReadJournalFile(path);
}

Status ExitJournal::Open(int flags) {
  ASSIGN_OR_RETURN(file_, OpenFile(path_, flags));
  return {};
}

Status ExitJournal::Append(const pod::ProcessExited& exited) {
  exits_[exited.process().container_id()] = exited;
  const std::string record = EncodeJournalRecord(exited);
  const off_t before = lseek(file_.get(), 0, SEEK_END);
  if (auto written = WriteAll(file_.get(), record); !written) {
    // What follows must not be hidden behind half a record.
    if (before >= 0 && ftruncate(file_.get(), before) != 0) return written;
    return tl::unexpected(std::move(written).error().While("exit journal " + path_));
  }
  AbortStep();
  return {};
}

Status ExitJournal::Remove(const std::string& container_id) {
  if (exits_.erase(container_id) == 0) return {};
  std::string content(kJournalMagic);
  for (const auto& [id, exited] : exits_) content += EncodeJournalRecord(exited);
  RETURN_IF_ERROR(ReplaceFile(path_, content, 0600, Durability::kProcessCrash));
  return Open(O_WRONLY | O_APPEND);
}

}  // namespace catamaran
