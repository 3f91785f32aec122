// What is written to procfs goes to whatever is at /proc. Linked in the place of proc_handle.cc,
// into a test.
#include "sandbox/kernel/proc_handle.h"

#include "sandbox/base/files.h"

namespace catamaran {

Result<ProcHandle> ProcHandle::OpenPrivate() { return ProcHandle(UniqueFd()); }

Status ProcHandle::Write(const std::string& path, std::string_view value) const {
  return WriteExisting("/proc/" + path, value);
}

}  // namespace catamaran
