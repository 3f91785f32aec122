#pragma once

#include <string>
#include <vector>

#include "sandbox/base/deadline.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace catamaran {

// A short-lived program that is not ours: nft, a CNI plugin, a credential helper.
struct ProgramRun {
  std::vector<std::string> args;         // args[0] names it in errors
  std::vector<std::string> environment;  // empty: the daemon's own
  std::string input;                     // its standard input
  int inherited_fd = -1;                 // kept open in it and in what it starts; -1: none
};
struct ProgramEnd {
  int exit_code = 0;                // 128 + signal where one ended it
  std::string output, diagnostics;  // standard output, standard error
};

// The most that is kept of each output. More standard output is an error; of the diagnostics only
// the beginning is kept.
inline constexpr size_t kMostProgramOutput = 4 << 20;
inline constexpr size_t kMostProgramDiagnostics = 16 << 10;

// Runs it to its end with SpawnProgram, in a process group of its own. Killed with that group:
// where the deadline passes or somebody stopped it (kDeadlineExceeded), and where it prints too
// much (kResourceExhausted). What it left running keeps nobody waiting.
Result<ProgramEnd> RunProgram(const UniqueFd& program, const ProgramRun& run, Deadline deadline);

}  // namespace catamaran
