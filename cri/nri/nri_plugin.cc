#include "cri/nri/nri_plugin.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <algorithm>

#include "cri/base/version.h"
#include "cri/translate/fields.h"

namespace catamaran {
namespace {

constexpr char kRuntimeName[] = "catamaran";
constexpr size_t kLongestName = 255;
constexpr std::chrono::milliseconds kShutdownLimit{500};

}  // namespace

Status CheckPluginIndex(const std::string& index) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (index.size() == 2 && digit(index[0]) && digit(index[1])) return {};
  return WrongField("plugin_idx", index, "two digits");
}

Status CheckPluginName(const std::string& name) {
  const bool good = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+';
  });
  if (good && !name.empty() && name.size() <= kLongestName) return {};
  return WrongField("plugin_name", name, "1 to 255 of a-z, A-Z, 0-9, '-', '_', '.' and '+'");
}

NriPlugin::NriPlugin(UniqueFd socket, Parts parts)
    : parts_(std::move(parts)),
      connection_(std::move(socket),
                  {.serve = [this](const std::string& service, const std::string& method,
                                   const std::string& payload) -> Result<std::string> {
                     if (service != kNriRuntimeService)
                       return Fail(ErrorCode::kUnimplemented, "there is no service {}",
                                   Printable(service));
                     return Serve(method, payload);
                   },
                   .on_closed =
                       [this] {
                         registered_.notify_all();
                         if (parts_.on_closed) parts_.on_closed();
                       }}) {
  connection_.Start();
}

NriPlugin::~NriPlugin() {
  connection_.Close();
  if (!parts_.process) return;
  syscall(SYS_pidfd_send_signal, parts_.process->pidfd.get(), SIGKILL, nullptr, 0);
  waitpid(parts_.process->pid, nullptr, 0);
}

std::string NriPlugin::full_name() const {
  std::lock_guard lock(mutex_);
  return parts_.index.empty() ? "that has not registered" : parts_.index + "-" + parts_.name;
}

Result<std::string> NriPlugin::Serve(const std::string& method, const std::string& payload) {
  if (method == "RegisterPlugin") {
    nri::RegisterPluginRequest request;
    if (!request.ParseFromString(payload))
      return Fail(ErrorCode::kInvalidArgument, "this is no RegisterPluginRequest");
    RETURN_IF_ERROR(Register(request));
    return std::string();
  }
  if (method == "UpdateContainers") {
    nri::UpdateContainersRequest request;
    if (!request.ParseFromString(payload))
      return Fail(ErrorCode::kInvalidArgument, "this is no UpdateContainersRequest");
    {
      std::lock_guard lock(mutex_);
      if (!is_registered_) return Fail(ErrorCode::kFailedPrecondition, "register first");
    }
    return parts_.update(request).SerializeAsString();
  }
  return Fail(ErrorCode::kUnimplemented, "there is no method {}", Printable(method));
}

Status NriPlugin::Register(const nri::RegisterPluginRequest& request) {
  std::lock_guard lock(mutex_);
  if (is_registered_) return Fail(ErrorCode::kAlreadyExists, "registered already");
  // A launched one has the name of its file.
  if (!parts_.process) {
    RETURN_IF_ERROR(CheckPluginIndex(request.plugin_idx()));
    RETURN_IF_ERROR(CheckPluginName(request.plugin_name()));
    parts_.index = request.plugin_idx();
    parts_.name = request.plugin_name();
  }
  is_registered_ = true;
  registered_.notify_all();
  return {};
}

Status NriPlugin::Begin() {
  {
    std::unique_lock lock(mutex_);
    registered_.wait_for(lock, parts_.times.registration,
                         [&] { return is_registered_ || connection_.closed(); });
    if (!is_registered_) {
      if (connection_.closed())
        return Fail(ErrorCode::kUnavailable, "it went before it registered");
      return Fail(ErrorCode::kDeadlineExceeded, "it did not register within {} ms",
                  parts_.times.registration.count());
    }
  }
  auto configured = Configure();
  if (!configured) return tl::unexpected(std::move(configured).error().While("Configure"));
  return configured;
}

Status NriPlugin::Configure() {
  nri::ConfigureRequest request;
  request.set_config(parts_.config);
  request.set_runtime_name(kRuntimeName);
  request.set_runtime_version(Version());
  request.set_registration_timeout(parts_.times.registration.count());
  request.set_request_timeout(parts_.times.request.count());
  ASSIGN_OR_RETURN(const NriReply answer, Ask("Configure", request.SerializeAsString()));
  nri::ConfigureResponse response;
  if (answer && !response.ParseFromString(answer.payload))
    return Fail(ErrorCode::kInvalidArgument, "the answer is no ConfigureResponse");
  if (connection_.closed()) return Fail(ErrorCode::kUnavailable, "it has gone");
  if ((response.events() & ~kEveryNriEvent) != 0)
    return WrongField("events", fmt::format("{:#x}", response.events()),
                      fmt::format("of the bits {:#x}", kEveryNriEvent));
  events_ = response.events() == 0 ? kEveryNriEvent : response.events();
  return {};
}

Result<std::unique_lock<std::timed_mutex>> NriPlugin::TakeTurn(Deadline deadline) {
  std::unique_lock lock(turn_, std::defer_lock);
  // Each turn is bounded, but many may want one.
  if (!lock.try_lock_for(deadline.Remaining()))
    return Fail(ErrorCode::kDeadlineExceeded, "NRI plugin {} is busy", full_name());
  return lock;
}

void NriPlugin::CutOff(std::string_view doing, const Error& error) {
  parts_.notice(fmt::format("NRI plugin {} is dropped: {}: {}", full_name(), doing, error.message));
  connection_.Close();
}

Result<NriReply> NriPlugin::AskWithin(std::string_view method, const std::string& payload,
                                      std::chrono::milliseconds limit) {
  if (connection_.closed()) return NriReply();
  auto answer =
      connection_.Call(kNriPluginService, std::string(method), payload, Deadline::After(limit));
  if (!answer) {
    CutOff(method, answer.error());
    return NriReply();
  }
  if (!answer->refused) return NriReply{true, std::move(answer->payload)};
  if (answer->code == ErrorCode::kUnimplemented) return NriReply();
  return Fail(answer->code, "NRI plugin {}: {}", full_name(), Printable(answer->message));
}

Result<NriReply> NriPlugin::Ask(std::string_view method, const std::string& payload) {
  return AskWithin(method, payload, parts_.times.request);
}

Status NriPlugin::Tell(nri::Event event, const nri::EventRequest& request) {
  if ((by_state_change_ & BitOf(event)) == 0) {
    ASSIGN_OR_RETURN(const NriReply answer, Ask(MethodOf(event), request.SerializeAsString()));
    if (answer || connection_.closed()) return {};
    by_state_change_ |= BitOf(event);
  }
  nri::StateChangeEvent change;
  change.set_event(event);
  *change.mutable_pod() = request.pod();
  if (request.has_container()) *change.mutable_container() = request.container();
  ASSIGN_OR_RETURN(const NriReply answer, Ask("StateChange", change.SerializeAsString()));
  return {};
}

void NriPlugin::Shutdown() {
  if (auto turn = TakeTurn(Deadline::After(kShutdownLimit)))
    (void)AskWithin("Shutdown", "", kShutdownLimit);
  connection_.Close();
}

}  // namespace catamaran
