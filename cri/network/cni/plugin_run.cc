#include "cri/network/cni/plugin_run.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "cri/base/program_run.h"
#include "cri/base/text.h"
#include "cri/network/cni/json_text.h"
#include "sandbox/base/files.h"
#include "sandbox/base/trace.h"

namespace catamaran {
namespace {

using nlohmann::json;

constexpr size_t kLongestQuote = 2000;
constexpr char kUsualPath[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// A program that an installer is just writing cannot be executed yet.
constexpr int kMostAttempts = 5;
constexpr std::chrono::milliseconds kAttemptInterval{1000};

std::vector<std::string> Environment(const PluginCall& call, const std::vector<HostPath>& folders) {
  std::vector<std::string> environment;
  bool has_path = false;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (text.starts_with("CNI_") || text.starts_with("CATAMARAN_") ||
        text.starts_with("TRACEPARENT="))
      continue;
    if (text.starts_with("PATH=")) has_path = true;
    environment.emplace_back(text);
  }
  if (!has_path) environment.emplace_back(kUsualPath);
  std::string path;
  for (const auto& folder : folders) path += (path.empty() ? "" : ":") + folder.string();
  environment.push_back("CNI_COMMAND=" + call.command);
  environment.push_back("CNI_PATH=" + path);
  // As libcni has it: a plugin that traces adds to the pod's trace.
  if (const Span span = Span::Current()) environment.push_back("TRACEPARENT=" + span.Traceparent());
  if (call.container_id.empty()) return environment;
  environment.push_back("CNI_CONTAINERID=" + call.container_id);
  environment.push_back("CNI_NETNS=" + call.netns);
  environment.push_back("CNI_IFNAME=" + call.interface);
  environment.push_back("CNI_ARGS=" + call.args);
  return environment;
}

ErrorCode CodeOf(int cni_code) {
  switch (cni_code) {
    case kCniTryAgain:
    case kCniUnavailable:
    case kCniLimited:
      return ErrorCode::kUnavailable;
    case 7:  // invalid network configuration
      return ErrorCode::kFailedPrecondition;
    default:
      return ErrorCode::kInternal;
  }
}

// "code 7: msg: details", or what the plugin said instead of an error as the specification has it.
void ReadFailure(const std::string& name, const ProgramEnd& end, PluginAnswer* answer) {
  const auto said = ParseJsonObject(end.output, name);
  answer->error.code = ErrorCode::kInternal;
  if (said && said->contains("msg") && (*said)["msg"].is_string()) {
    const auto code = said->find("code");
    if (code != said->end() && code->is_number_integer()) answer->error_code = code->get<int>();
    const auto details = said->find("details");
    const bool more = details != said->end() && details->is_string() &&
                      !details->get_ref<const std::string&>().empty();
    answer->error.code = CodeOf(answer->error_code);
    answer->error.message =
        OneLine(fmt::format("code {}: {}{}", answer->error_code, (*said)["msg"].get<std::string>(),
                            more ? ": " + details->get<std::string>() : ""),
                kLongestQuote);
    return;
  }
  answer->error.message = fmt::format("ended with {} without a CNI error", end.exit_code);
  if (!end.output.empty())
    answer->error.message += ", printed: " + OneLine(end.output, kLongestQuote);
  if (!end.diagnostics.empty())
    answer->error.message += ", said: " + OneLine(end.diagnostics, kLongestQuote);
}

Result<ProgramEnd> RunOnceWritten(const UniqueFd& program, const ProgramRun& run,
                                  Deadline deadline) {
  for (int attempt = 1;; ++attempt) {
    auto end = RunProgram(program, run, deadline);
    const bool again = !end && end.error().system_errno == ETXTBSY && attempt < kMostAttempts;
    if (!again) return end;
    std::this_thread::sleep_for(std::min(kAttemptInterval, deadline.Remaining()));
  }
}

}  // namespace

std::string PluginRunner::FolderNames() const {
  std::vector<std::string> names;
  for (const auto& folder : folders_) names.push_back(folder.string());
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<HostPath> PluginRunner::Find(const std::string& type) const {
  for (const auto& folder : folders_) {
    const HostPath path = folder / type;
    struct stat info {};
    if (stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0)
      return path;
  }
  return Fail(ErrorCode::kNotFound, "the plugin {} is in none of {}", type, FolderNames());
}

Result<PluginAnswer> PluginRunner::Run(const std::string& type, const PluginCall& call,
                                       const json& config, Deadline deadline) const {
  const std::string name = fmt::format("CNI plugin {} ({})", type, call.command);
  StepSpan step(name);
  ASSIGN_OR_RETURN(const HostPath path, Find(type));
  ASSIGN_OR_RETURN(const auto program, OpenFile(path.value(), O_RDONLY));
  ProgramRun run{.args = {path.string()},
                 .environment = Environment(call, folders_),
                 .input = JsonText(config),
                 .inherited_fd = call.inherited_fd};
  auto end = step.Outcome(RunOnceWritten(program, run, deadline));
  if (!end) return tl::unexpected(std::move(end).error().While(name));
  PluginAnswer answer;
  if (end->exit_code != 0) {
    ReadFailure(name, *end, &answer);
    answer.error = std::move(answer.error).While(name);
    return answer;
  }
  answer.ok = true;
  // Only these have a result; what others print is nobody's business.
  const bool has_result = call.command == "ADD" || call.command == "VERSION";
  if (!has_result || end->output.find_first_not_of(" \t\r\n") == std::string::npos) return answer;
  auto result = ParseJsonObject(end->output, name + ": its answer");
  if (!result) {
    answer.ok = false;
    answer.error = {ErrorCode::kInternal, 0,
                    fmt::format("{}, printed: {}", result.error().message,
                                OneLine(end->output, kLongestQuote))};
    return answer;
  }
  answer.result = std::move(*result);
  return answer;
}

}  // namespace catamaran
