#pragma once

namespace catamaran {

// The file with the certificates that this host trusts, or null where there is none. libcurl knows
// only the place of the distribution that it was built for, and our tree for other distributions
// brings that libcurl along.
const char* TrustedAuthoritiesFile();

}  // namespace catamaran
