#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sandbox/base/files.h"
#include "sandbox/base/strong_types.h"

namespace catamaran {

// The recording plugin's folder, from a test's side (see recording_plugin.cc). Its program is
// beside the test's own.
class Recorder {
 public:
  explicit Recorder(std::filesystem::path folder) : folder_(std::move(folder)) {
    EXPECT_TRUE(MakeDirectories(folder_));
  }

  static HostPath ProgramFolder() {
    return HostPath(std::filesystem::read_symlink("/proc/self/exe").parent_path());
  }

  // One plugin's configuration; `more` are its other keys, "result" for instance.
  nlohmann::json Config(nlohmann::json more = nlohmann::json::object()) const {
    more["type"] = "recording_plugin";
    more["folder"] = folder_.string();
    return more;
  }
  void Plan(const std::string& command, const std::string& steps) {
    std::ofstream(folder_ / ("plan." + command)) << steps;
  }
  std::vector<nlohmann::json> Calls() const {
    std::vector<nlohmann::json> calls;
    std::ifstream file(folder_ / "calls");
    for (std::string line; std::getline(file, line);) calls.push_back(nlohmann::json::parse(line));
    return calls;
  }
  // "ADD DEL ": the commands, in order.
  std::string Commands() const {
    std::string text;
    for (const auto& call : Calls()) text += call["command"].get<std::string>() + " ";
    return text;
  }
  void Forget() { std::filesystem::remove(folder_ / "calls"); }
  std::vector<pid_t> Hanging() const {
    std::vector<pid_t> pids;
    std::ifstream file(folder_ / "pids");
    for (pid_t pid = 0; file >> pid;) pids.push_back(pid);
    return pids;
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// True as soon as `condition` is.
template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    usleep(10'000);
  }
  return false;
}

}  // namespace catamaran
