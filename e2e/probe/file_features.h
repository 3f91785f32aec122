#pragma once

namespace catamaran::e2e {

// Tries what programs do with files, each thing in a new folder below `folder`, and prints a line
// for each: its name and "ok", "wrong" (it was done, with another effect) or the error's text.
// The names are in file_features.cc. 0 where it could be tried at all.
int TryFileFeatures(const char* folder);

}  // namespace catamaran::e2e
