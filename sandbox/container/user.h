#pragma once

#include <string>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

struct ProcessUser {
  spec::ResolvedUser ids;  // groups hold the primary one, sorted, once each
  std::string home;        // of the passwd entry; "/" where there is none
};

// Who a UserSpec means in this root file system: reads /etc/passwd and /etc/group below rootfs_fd
// (a directory), never leaving it by a symlink, reading at most 1 MiB of regular files only, never
// blocking (a FIFO or device in their place is kInvalidArgument). A missing file is an empty one.
//
//   user           "" is 0; a number is a uid; a name must be in passwd, else kInvalidArgument.
//   primary group  has_gid > ":group" > the user's passwd entry > 0
//   groups         Merge: those of /etc/group that list the user's name, and supplemental_groups;
//                  Strict: only supplemental_groups. The primary group belongs to both.
//
// Ids are at most 2^31-1.
Result<ProcessUser> ResolveUser(int rootfs_fd, const spec::UserSpec& user);

}  // namespace catamaran
