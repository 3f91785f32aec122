#pragma once

#include <string>

#include "cri/config/yaml_reader.h"

namespace catamaran {

// "127.0.0.1:0", "[::1]:10010": an address without brackets, and a port.
Status ReadIpPort(const YamlValue& value, std::string* address, uint16_t* port);

// 127.0.0.0/8 or ::1.
bool IsLoopback(const std::string& address);

}  // namespace catamaran
