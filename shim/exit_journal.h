#pragma once

#include <map>
#include <string>
#include <vector>

#include "sandbox/backend/pod_protocol.pb.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// How the pod's containers ended, on the run directory's tmpfs: what a daemon that comes back, or
// outlives the shim, reads. An exit is in the file before it is reported; it stays until its
// container is removed.
//
// Format: kJournalMagic, then records of length and CRC-32C (little-endian uint32 each) and a
// pod::ProcessExited. A torn record at the end, of a shim that died in writing, is no record.
class ExitJournal {
 public:
  // Starts an empty journal, replacing what is there.
  static Result<ExitJournal> Create(const std::string& path);
  // Reads one, of a shim that may live or not. Absent: empty. kDataLoss where it is no journal.
  static Result<std::vector<pod::ProcessExited>> Read(const std::string& path);

  // Records the exit of a container's main process. Blocks for a write to tmpfs.
  Status Append(const pod::ProcessExited& exited);
  Status Remove(const std::string& container_id);
  const std::map<std::string, pod::ProcessExited>& exits() const { return exits_; }

 private:
  explicit ExitJournal(std::string path) : path_(std::move(path)) {}
  Status Open(int flags);

  std::string path_;
  UniqueFd file_;
  std::map<std::string, pod::ProcessExited> exits_;
};

}  // namespace catamaran
