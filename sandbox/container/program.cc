#include "sandbox/container/program.h"

#include <unistd.h>

#include <cstring>

namespace catamaran {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const auto& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

const std::string* FindVariable(const std::vector<std::string>& environment,
                                const std::string& name) {
  for (const auto& variable : environment)
    if (variable.compare(0, name.size() + 1, name + "=") == 0) return &variable;
  return nullptr;
}

std::vector<std::string> Candidates(const std::string& program, const std::string& path) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> candidates;
  size_t start = 0;
  while (start <= path.size()) {
    const size_t end = std::min(path.find(':', start), path.size());
    // An empty entry is the working directory.
    const std::string folder = path.substr(start, end - start);
    candidates.push_back((folder.empty() ? "." : folder) + "/" + program);
    start = end + 1;
  }
  return candidates;
}

}  // namespace

ProgramImage::ProgramImage(const spec::ProcessSpec& process, const std::string& home)
    : arguments_(process.args().begin(), process.args().end()),
      environment_(process.env().begin(), process.env().end()) {
  if (FindVariable(environment_, "HOME") == nullptr)
    environment_.push_back("HOME=" + (home.empty() ? "/" : home));
}

Error ProgramImage::Execute() const {
  const std::string& program = arguments_[0];
  const std::string* variable = FindVariable(environment_, "PATH");
  const std::string path = variable == nullptr ? kDefaultPath : variable->substr(strlen("PATH="));
  const auto arguments = Pointers(arguments_);
  const auto environment = Pointers(environment_);
  int error_number = ENOENT;
  for (const auto& candidate : Candidates(program, path)) {
    execve(candidate.c_str(), arguments.data(), environment.data());
    // As execvp(3): something that may not be run is told only if nothing else is found.
    if (errno == ENOENT || errno == ENOTDIR) continue;
    error_number = errno;
    if (errno != EACCES) break;
  }
  if (error_number == ENOENT && program.find('/') == std::string::npos)
    return Error{ErrorCode::kNotFound, ENOENT,
                 fmt::format("exec \"{}\": executable file not found in $PATH", program)};
  return FailErrno(error_number, fmt::format("exec \"{}\"", program)).value();
}

}  // namespace catamaran
