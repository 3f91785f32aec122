#include "cri/registry/credential_helper.h"

#include <fcntl.h>

#include <algorithm>

#include "cri/base/json.h"
#include "cri/base/program_run.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr std::chrono::seconds kHelperPatience{30};
constexpr size_t kLongestName = 64;
constexpr size_t kLongestSecret = 64 << 10;
// docker-credential-helpers, credentials/error.go: its exit code is that of any failure.
constexpr char kNothingFound[] = "credentials not found in native keychain";
// In the place of a user: the secret is an OAuth 2 refresh token.
constexpr char kTokenUser[] = "<token>";

bool IsHelperName(const std::string& name) {
  if (name.empty() || name.size() > kLongestName || name[0] == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

Result<UniqueFd> OpenHelper(const std::string& program, const std::string& search_path) {
  for (size_t begin = 0; begin <= search_path.size();) {
    const size_t end = std::min(search_path.find(':', begin), search_path.size());
    const std::string folder = search_path.substr(begin, end - begin);
    begin = end + 1;
    if (!folder.starts_with('/')) continue;
    auto file = OpenFile(folder + "/" + program, O_RDONLY);
    if (file || file.error().code != ErrorCode::kNotFound) return file;
  }
  return Fail(ErrorCode::kPermissionDenied, "{} is not in any folder of PATH ({})", program,
              search_path);
}

Result<std::optional<Credentials>> ReadAnswer(const std::string& output,
                                              const std::string& program) {
  ASSIGN_OR_RETURN(const auto json, ParseJson(output, "the answer of " + program));
  ASSIGN_OR_RETURN(const auto answer, JsonObject::From(json, "the answer of " + program));
  ASSIGN_OR_RETURN(const auto username, answer.String("Username"));
  ASSIGN_OR_RETURN(const auto secret, answer.String("Secret"));
  if (username.size() > kLongestSecret || secret.size() > kLongestSecret)
    return Fail(ErrorCode::kInvalidArgument, "the answer of {} has a field longer than {} bytes",
                program, kLongestSecret);
  if (username == kTokenUser) return Credentials{"", "", secret, ""};
  if (username.empty() && secret.empty()) return std::nullopt;
  return Credentials{username, secret, "", ""};
}

}  // namespace

Result<std::optional<Credentials>> AskCredentialHelper(const std::string& name,
                                                       const std::string& server,
                                                       const std::string& search_path,
                                                       Deadline deadline) {
  if (!IsHelperName(name))
    return Fail(ErrorCode::kInvalidArgument,
                "'{}' is wrong: must be NAME of a program docker-credential-NAME: at most {} "
                "letters, digits, '-', '_' and '.'",
                name.substr(0, kLongestName), kLongestName);
  const std::string program = "docker-credential-" + name;
  ASSIGN_OR_RETURN(const auto file, OpenHelper(program, search_path));
  const bool is_callers_time = deadline.Remaining() <= kHelperPatience;
  auto end = RunProgram(file, {.args = {program, "get"}, .input = server},
                        is_callers_time ? deadline : Deadline::After(kHelperPatience));
  if (!end) {
    if (end.error().code == ErrorCode::kDeadlineExceeded && !is_callers_time)
      return Fail(ErrorCode::kPermissionDenied, "{}", end.error().message);
    return tl::unexpected(std::move(end).error());
  }
  if (end->exit_code == 0) return ReadAnswer(end->output, program);
  if (end->output.find(kNothingFound) != std::string::npos) return std::nullopt;
  return Fail(ErrorCode::kPermissionDenied,
              "{} get failed for {} with exit code {}; to see what it says: echo {} | {} get",
              program, server, end->exit_code, server, program);
}

}  // namespace catamaran
