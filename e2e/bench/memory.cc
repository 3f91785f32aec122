#include "e2e/bench/memory.h"

#include <algorithm>
#include <sstream>

#include "sandbox/base/files.h"

namespace catamaran::e2e {

Result<MemoryUse> ReadMemory(pid_t process) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(fmt::format("/proc/{}/smaps_rollup", process)));
  MemoryUse use;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    double kibibytes = 0;
    words >> key >> kibibytes;
    if (key == "Rss:") use.resident += kibibytes;
    if (key == "Pss:") use.proportional += kibibytes;
    if (key == "Private_Clean:" || key == "Private_Dirty:") use.private_only += kibibytes;
  }
  return use;
}

MemoryUse SumMemory(const std::vector<pid_t>& processes, const ProcessFilter& filter) {
  MemoryUse sum;
  for (const pid_t process : processes) {
    const std::string folder = fmt::format("/proc/{}/", process);
    std::string command = ReadFile(folder + "cmdline").value_or("");
    std::replace(command.begin(), command.end(), '\0', ' ');
    const std::string owner = command + ReadFile(folder + "cgroup").value_or("");
    const auto owns = [&](const std::string& pod) { return owner.find(pod) != std::string::npos; };
    if (command.find(filter.but_not) != std::string::npos ||
        std::none_of(filter.pods.begin(), filter.pods.end(), owns))
      continue;
    const auto use = ReadMemory(process);
    if (!use) continue;
    sum.resident += use->resident;
    sum.proportional += use->proportional;
    sum.private_only += use->private_only;
  }
  return sum;
}

}  // namespace catamaran::e2e
