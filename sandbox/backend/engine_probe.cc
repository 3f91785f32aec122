#include "sandbox/backend/engine_probe.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "sandbox/backend/engine_probe_verbs.h"

namespace catamaran {
namespace {

using Arguments = std::vector<std::string>;

void Cat(const Arguments&) {
  char buffer[4096];
  ssize_t count;
  while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
    if (write(STDOUT_FILENO, buffer, count) < 0) break;
}

const ProbeVerbs& StreamVerbs() {
  static const ProbeVerbs verbs = {
      {"echo", [](const Arguments& a) { ReportFromProbe("echo", a[1]); }},
      {"err",
       [](const Arguments& a) {
         [[maybe_unused]] auto written = write(STDERR_FILENO, a[1].data(), a[1].size());
       }},
      {"cat", Cat},
      {"stdin",
       [](const Arguments&) { ReportFromProbe("stdin", ProbeReadText("/proc/self/fd/0")); }},
  };
  return verbs;
}

}  // namespace

std::string ProbeErrorOr(long result, const std::string& good) {
  return result < 0 ? strerrorname_np(errno) : good;
}

std::string ProbeReadText(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (fd < 0) return strerrorname_np(errno);
  std::string text;
  char buffer[4096];
  ssize_t count;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) text.append(buffer, count);
  if (count < 0) text = strerrorname_np(errno);
  close(fd);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::replace(text.begin(), text.end(), '\n', '|');
  return text;
}

std::string ProbeLinkOf(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length < 0 ? strerrorname_np(errno) : std::string(target, length);
}

void ReportFromProbe(const std::string& key, const std::string& value) {
  const std::string line = key + "=" + value + "\n";
  [[maybe_unused]] auto written = write(STDOUT_FILENO, line.data(), line.size());
}

int RunProbe(int argc, char** argv, const ProbeVerbs& more) {
  ProbeVerbs verbs = StreamVerbs();
  verbs.insert(FileVerbs().begin(), FileVerbs().end());
  verbs.insert(ProcessVerbs().begin(), ProcessVerbs().end());
  verbs.insert(more.begin(), more.end());
  for (int i = 1; i < argc; ++i) {
    Arguments arguments;
    std::istringstream stream(argv[i]);
    std::string part;
    while (std::getline(stream, part, ':')) arguments.push_back(part);
    const auto found = verbs.find(arguments.at(0));
    if (found == verbs.end()) {
      ReportFromProbe("unknown", argv[i]);
      return 99;
    }
    arguments.resize(std::max<size_t>(arguments.size(), 4));
    found->second(arguments);
  }
  return 0;
}

}  // namespace catamaran
