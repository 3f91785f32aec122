#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cri/images/image_store.h"

namespace catamaran {

// Has this program started again as a helper (see RunAsCycle) with a new folder and `arguments`,
// and killed at its N-th abort step, for N = 1, 2, ... until it gets through; `check` looks at the
// folder of each that was killed. Returns how many steps there were. Started anew, not copied: a
// store has threads.
int KillCycleAtEveryStep(const std::filesystem::path& scratch,
                         const std::vector<std::string>& arguments,
                         const std::function<void(const std::filesystem::path& root)>& check);

// For main: where this process is such a helper, runs `cycle` and gives the exit code.
using Cycle =
    std::function<Status(const HostPath& root, const std::vector<std::string>& arguments)>;
std::optional<int> RunAsCycle(int argc, char** argv, const Cycle& cycle);

// Fails the test where the folder of a store holds other blobs than those of its images, or others
// than a folder where all is right has of the same names.
void ExpectBlobsOfImages(ImageStore& store, const std::filesystem::path& root,
                         const std::filesystem::path& good);

}  // namespace catamaran
