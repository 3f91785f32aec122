#include <fcntl.h>

#include "cri/base/program_run.h"
#include "cri/network/builtin/nft_rules.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// Services often run without sbin in their PATH.
constexpr const char* kPlaces[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
                                   "/usr/local/sbin/nft"};

Result<UniqueFd> OpenNft() {
  for (const char* place : kPlaces)
    if (auto program = OpenFile(place, O_RDONLY)) return program;
  return Fail(ErrorCode::kFailedPrecondition,
              "nft is not installed: the built-in network needs the package nftables");
}

}  // namespace

Status RunNft(const std::string& rules, Deadline deadline) {
  ASSIGN_OR_RETURN(const auto program, OpenNft());
  ASSIGN_OR_RETURN(const auto end,
                   RunProgram(program, {.args = {"nft", "-f", "-"}, .input = rules}, deadline));
  if (end.exit_code == 0) return {};
  return Fail(ErrorCode::kInternal, "nft failed: {}", end.diagnostics + end.output);
}

}  // namespace catamaran
