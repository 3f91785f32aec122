#pragma once

namespace catamaran {

// Of this build, "0.1.0": what the programs say of themselves and what a package is called.
const char* Version();

}  // namespace catamaran
