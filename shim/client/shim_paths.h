#pragma once

#include "sandbox/base/strong_types.h"

namespace catamaran {

// The files of one shim in the run directory. The daemon makes the folder (0700); they are all
// that a later daemon needs to find the shim again.
struct ShimPaths {
  HostPath folder;                                          // <run>/pods/<pod id>
  HostPath socket() const { return folder / "shim.sock"; }  // 0600, peer credentials checked
  HostPath lock() const { return folder / "shim.lock"; }  // flock'ed for as long as the shim lives
  HostPath journal() const {
    return folder / "journal";
  }  // exits, written before they are reported
};

}  // namespace catamaran
