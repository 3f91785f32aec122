#pragma once

#include <string_view>

namespace catamaran {

// The source of kDefaultAppArmorProfile (apparmor.d(5)), for apparmor_parser(8); complete in
// itself, it includes nothing of the host's.
std::string_view DefaultAppArmorProfileText();

}  // namespace catamaran
