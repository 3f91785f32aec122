#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vm-backend/hostile/attacks.h"
#include "vm-backend/hostile/fuse_client.h"

namespace catamaran {

using Words = std::vector<std::string>;

// One line of a report.
std::string Line(std::string_view what, std::string_view result);
// The folder of a volume: the entry of the root that has its name.
uint64_t Volume(FuseClient& fuse, const std::string& name, std::string& report);

// The attacks of attacks.h on channels, by what they send.
Result<std::string> FuseFlood(const Words& words, const GuestPorts& ports);
Result<std::string> FuseMalformed(const Words& words, const GuestPorts& ports);
Result<std::string> FuseEndless(const Words& words, const GuestPorts& ports);
Result<std::string> FuseOverread(const Words& words, const GuestPorts& ports);
Result<std::string> FloodAgent(const Words& words, const GuestPorts& ports);
Result<std::string> AgentEvents(const Words& words, const GuestPorts& ports);
Result<std::string> AgentFrame(const Words& words, const GuestPorts& ports);
Result<std::string> AgentMessage(const Words& words, const GuestPorts& ports);
Result<std::string> FloodConsole(const Words& words, const GuestPorts& ports);

}  // namespace catamaran
