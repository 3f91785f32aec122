#pragma once

namespace catamaran::e2e {

// What several containers do with the same files at once. Each gives the program's exit code.

// Adds one to the number in `file`, `times` times, each time under a lock of the whole file, of
// this kind: "flock", "fcntl" or "ofd". What others add under the same kind is not lost.
int CountUnderLock(const char* file, int times, const char* kind);

// Appends `times` lines of `word` and a number to `file` (O_APPEND).
int AppendLines(const char* file, int times, const char* word);

// A unix socket of this name: says "listening", and "served" once somebody has connected.
int ServeOnce(const char* path);
// Connects to one; prints "connected" or why not.
int ConnectTo(const char* path);

}  // namespace catamaran::e2e
