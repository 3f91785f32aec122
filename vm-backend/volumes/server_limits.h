#pragma once

#include <cstddef>

namespace catamaran {

// The longest request that a volume server collects, whatever length its guest announces. Defined
// by itself: tests of a hostile guest are linked without this limit, to show what it is for.
extern const size_t kLongestServedRequest;

}  // namespace catamaran
