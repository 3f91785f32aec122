#include "sandbox/container/hooks.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sandbox/base/files.h"
#include "sandbox/container/hook_run.h"

namespace catamaran {
namespace {

using Json = nlohmann::json;
using HookList = google::protobuf::RepeatedPtrField<spec::Hook>;

constexpr const char* kOciVersion = "1.2.0";
constexpr int kMostHooks = 256;
// In the bundle: a spec::ContainerSpec of what a hook after the container's end is told.
constexpr const char* kLeftHooks = "poststop";

struct PointFacts {
  const char* name;
  const char* status;
  const HookList& (*list)(const spec::Hooks&);
};

const PointFacts& FactsOf(HookPoint point) {
  static const PointFacts kFacts[] = {
      {"prestart", "creating", [](const auto& h) -> const HookList& { return h.prestart(); }},
      {"createRuntime", "creating",
       [](const auto& h) -> const HookList& { return h.create_runtime(); }},
      {"createContainer", "creating",
       [](const auto& h) -> const HookList& { return h.create_container(); }},
      {"startContainer", "created",
       [](const auto& h) -> const HookList& { return h.start_container(); }},
      {"poststart", "running", [](const auto& h) -> const HookList& { return h.poststart(); }},
      {"poststop", "stopped", [](const auto& h) -> const HookList& { return h.poststop(); }},
  };
  return kFacts[static_cast<size_t>(point)];
}

constexpr HookPoint kAllPoints[] = {HookPoint::kPrestart,        HookPoint::kCreateRuntime,
                                    HookPoint::kCreateContainer, HookPoint::kStartContainer,
                                    HookPoint::kPoststart,       HookPoint::kPoststop};

// Bytes that are no UTF-8 are replaced: an environment may hold any.
std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// runtime-spec, runtime.md, "State".
std::string StateOf(const HookContainer& container, HookPoint point, pid_t pid) {
  Json state = {{"ociVersion", kOciVersion},
                {"id", container.id},
                {"status", FactsOf(point).status},
                {"bundle", container.bundle},
                {"annotations", container.annotations}};
  if (pid > 0) state["pid"] = pid;
  return Text(state);
}

Status CheckHook(const spec::Hook& hook, const std::string& field) {
  if (hook.path().empty() || hook.path()[0] != '/')
    return Fail(ErrorCode::kInvalidArgument, "{}.path \"{}\": an absolute path is needed", field,
                hook.path());
  const auto has_zero = [](const std::string& text) {
    return text.find('\0') != std::string::npos;
  };
  if (has_zero(hook.path()))
    return Fail(ErrorCode::kInvalidArgument, "{}.path holds a zero byte", field);
  for (const auto& argument : hook.args())
    if (has_zero(argument))
      return Fail(ErrorCode::kInvalidArgument, "{}.args: an argument holds a zero byte", field);
  for (const auto& variable : hook.env())
    if (has_zero(variable) || variable.find('=') == std::string::npos || variable[0] == '=')
      return Fail(ErrorCode::kInvalidArgument, "{}.env: KEY=VALUE is needed", field);
  return {};
}

Status WriteLeftHooks(const HookContainer& container) {
  if (container.hooks.poststop().empty()) return {};
  spec::ContainerSpec left;
  left.set_container_id(container.id);
  *left.mutable_hooks()->mutable_poststop() = container.hooks.poststop();
  left.mutable_annotations()->insert(container.annotations.begin(), container.annotations.end());
  return ReplaceFile(container.bundle + "/" + kLeftHooks, left.SerializeAsString(), 0600,
                     Durability::kProcessCrash);
}

std::string RunLeftHooksOf(const std::string& bundle, Deadline deadline) {
  spec::ContainerSpec left;
  const auto text = ReadFile(bundle + "/" + kLeftHooks);
  if (!text || !left.ParseFromString(*text)) return "";
  HookContainer container{left.hooks(), left.container_id(), {}, bundle};
  container.annotations.insert(left.annotations().begin(), left.annotations().end());
  const auto most = std::chrono::ceil<std::chrono::seconds>(deadline.Remaining()).count();
  for (auto& hook : *container.hooks.mutable_poststop()) {
    const int64_t own = hook.timeout_seconds() > 0 ? int64_t{hook.timeout_seconds()}
                                                   : int64_t{kDefaultHookTimeoutSeconds};
    hook.set_timeout_seconds(static_cast<uint32_t>(std::clamp<int64_t>(most, 1, own)));
  }
  return RunAllHooks(container, HookPoint::kPoststop, 0);
}

// Runs them; whether to go on after one that failed is the caller's.
template <typename OnFailure>
Status ForEachHook(const HookContainer& container, HookPoint point, pid_t pid,
                   OnFailure on_failure) {
  const PointFacts& facts = FactsOf(point);
  const HookList& hooks = facts.list(container.hooks);
  if (hooks.empty()) return {};
  const std::string state = StateOf(container, point, pid);
  for (int i = 0; i < hooks.size(); ++i) {
    auto run = RunHook(hooks[i], state);
    if (run) continue;
    RETURN_IF_ERROR(on_failure(std::move(run).error().While(
        fmt::format("hook {}[{}] {}", facts.name, i, hooks[i].path()))));
  }
  return {};
}

}  // namespace

bool HookContainer::HasAny() const {
  for (const HookPoint point : kAllPoints)
    if (!FactsOf(point).list(hooks).empty()) return true;
  return false;
}

Status ValidateHooks(const spec::Hooks& hooks) {
  int count = 0;
  for (const HookPoint point : kAllPoints) {
    const PointFacts& facts = FactsOf(point);
    const HookList& list = facts.list(hooks);
    if (count += list.size(); count > kMostHooks)
      return Fail(ErrorCode::kInvalidArgument, "hooks: more than {}", kMostHooks);
    for (int i = 0; i < list.size(); ++i)
      RETURN_IF_ERROR(CheckHook(list[i], fmt::format("hooks.{}[{}]", facts.name, i)));
  }
  return {};
}

Status RunHooks(const HookContainer& container, HookPoint point, pid_t pid) {
  return ForEachHook(container, point, pid,
                     [](Error error) -> Status { return tl::unexpected(std::move(error)); });
}

std::string RunAllHooks(const HookContainer& container, HookPoint point, pid_t pid) {
  std::string failures;
  (void)ForEachHook(container, point, pid, [&failures](const Error& error) -> Status {
    failures += (failures.empty() ? "" : "\n") + error.message;
    return {};
  });
  return failures;
}

std::string RunLeftHooks(const std::string& bundles, Deadline deadline) {
  const auto folder = OpenFile(bundles, O_RDONLY | O_DIRECTORY);
  if (!folder) return "";
  if (flock(folder->get(), LOCK_EX) != 0) return "lock " + bundles;
  const auto names = ListDirectory(bundles);
  std::string failures;
  for (const auto& name : names ? *names : std::vector<std::string>()) {
    const std::string bundle = bundles + "/" + name;
    const std::string failed = RunLeftHooksOf(bundle, deadline);
    if (!failed.empty())
      failures += fmt::format("{}container {}: {}", failures.empty() ? "" : "\n", name, failed);
    if (deadline.expired()) break;
    (void)RemoveTree(bundle);
  }
  return failures;
}

Status WriteBundle(const HookContainer& container, const spec::ProcessSpec& process, int root_fd) {
  char root[PATH_MAX];
  const std::string link = fmt::format("/proc/self/fd/{}", root_fd);
  const ssize_t length = readlink(link.c_str(), root, sizeof root);
  if (length <= 0) return FailWithErrno("where the root file system is");
  const Json config = {
      {"ociVersion", kOciVersion},
      {"root", {{"path", std::string(root, length)}}},
      {"process",
       {{"terminal", process.terminal()},
        {"cwd", process.cwd().empty() ? "/" : process.cwd()},
        {"args", std::vector<std::string>(process.args().begin(), process.args().end())},
        {"env", std::vector<std::string>(process.env().begin(), process.env().end())}}},
      {"annotations", container.annotations},
  };
  RETURN_IF_ERROR(MakeDirectories(container.bundle, 0700));
  RETURN_IF_ERROR(WriteLeftHooks(container));
  return ReplaceFile(container.bundle + "/config.json", Text(config), 0600,
                     Durability::kProcessCrash);
}

}  // namespace catamaran
