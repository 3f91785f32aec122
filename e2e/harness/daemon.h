#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "sandbox/base/result.h"

namespace catamaran::e2e {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal if it was killed
  std::string output;  // stdout and stderr
};
// Runs a program of build/bin to its end.
ProgramResult RunProgram(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& extra_environment = {});

// Starts a program that runs on, with both outputs appended to this file. The caller reaps it.
Result<pid_t> StartProgram(const std::vector<std::string>& arguments, const std::string& log_file);

// The folder of the programs under test: ../bin of this program, or its own folder.
std::string ProgramFolder();

// One `catamaran serve` process. The destructor kills it; pods live on.
class Daemon {
 public:
  struct Options {
    std::string config_file;
    std::string log_file;                  // stdout and stderr are appended
    std::vector<std::string> environment;  // NAME=value, added to ours
    std::vector<std::string> flags;        // of `serve`, more of them
  };

  explicit Daemon(Options options) : options_(std::move(options)) {}
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() { Kill(); }

  // Returns once it serves (it says so on --ready-fd). Fails if it ends before that.
  Status Start(std::vector<std::string> extra_environment = {});
  // SIGTERM, then waits for the end; returns the exit code.
  int Terminate();
  // SIGKILL, then waits for the end. Nothing if it does not run.
  void Kill();
  // Waits until it ends by itself; false when the time is up.
  bool WaitForEnd(std::chrono::seconds limit);
  // Whether it runs; reaps it if it does not.
  bool running();
  pid_t pid() const { return pid_; }
  const std::string& log_file() const { return options_.log_file; }

 private:
  Options options_;
  pid_t pid_ = 0;
};

}  // namespace catamaran::e2e
