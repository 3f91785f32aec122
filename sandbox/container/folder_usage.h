#pragma once

#include <string>
#include <vector>

#include "sandbox/base/result.h"
#include "sandbox/spec/sandbox_spec.pb.h"

namespace catamaran {

// What a folder and everything below it occupy on its own file system, hard links counted once for
// each name. What disappears meanwhile, and an absent folder, count nothing. Blocks.
spec::FilesystemStats MeasureFolder(const std::string& folder);

// Size and inodes of the file system that the folder is on; nothing where it is absent. Blocks.
void MeasureFilesystem(const std::string& folder, spec::FilesystemStats& usage);

}  // namespace catamaran
