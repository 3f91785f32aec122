#include "cri/service/grpc_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <sys/stat.h>

#include <mutex>

#include "cri/api/runtime.grpc.pb.h"
#include "cri/pods/operations.h"
#include "cri/service/call_subject.h"
#include "cri/service/control.grpc.pb.h"
#include "cri/service/log.h"
#include "cri/service/runtime_calls.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

using Clock = std::chrono::steady_clock;

// Where the caller gave no deadline. Calls that wait for a process (ExecSync, StopContainer) have
// the request's own timeout instead.
constexpr auto kDefaultDeadline = std::chrono::minutes(10);
// A status travels in HTTP/2 header fields, which clients bound.
constexpr size_t kLongestMessage = 4096;

enum class Patience { kDefault, kUnbounded };

grpc::Status ToGrpcStatus(const Error& error) {
  std::string message = error.message;
  if (message.size() > kLongestMessage) {
    size_t end = kLongestMessage;
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xc0) == 0x80) --end;
    message = message.substr(0, end) + "...";
  }
  return {static_cast<grpc::StatusCode>(error.code), message};
}

Deadline DeadlineOf(const grpc::ServerContext& context, Patience patience) {
  const auto at = context.deadline();
  if (at == std::chrono::system_clock::time_point::max()) {
    return patience == Patience::kUnbounded ? Deadline::Never() : Deadline::After(kDefaultDeadline);
  }
  const auto left = at - std::chrono::system_clock::now();
  return Deadline::After(std::chrono::duration_cast<std::chrono::milliseconds>(left));
}

// What only asks is logged where somebody debugs; what changes something always; a client's error
// is no trouble of ours, an internal one is.
LogLevel LevelOf(std::string_view name, const Error* error) {
  if (error != nullptr) {
    const bool ours = error->code == ErrorCode::kInternal || error->code == ErrorCode::kUnknown ||
                      error->code == ErrorCode::kDataLoss;
    return ours ? LogLevel::kError : LogLevel::kWarn;
  }
  const bool asks = name.starts_with("List") || name.starts_with("Stream") ||
                    name.ends_with("Status") || name.ends_with("Stats") || name.ends_with("Info") ||
                    name == "Version" || name == "RuntimeConfig" || name == "ExecSync";
  return asks ? LogLevel::kDebug : LogLevel::kInfo;
}

// Names a call in a trace as gRPC does, and takes it into its caller's trace.
void BeginTrace(const ServerParts& parts, const grpc::ServerContext& context,
                std::string_view service, std::string_view name, Tracer::Call* trace) {
  if (!parts.tracer.on()) return;
  const auto header = [&](const char* key) -> std::string {
    const auto [first, last] = context.client_metadata().equal_range(key);
    if (first == last || std::next(first) != last) return "";
    return {first->second.data(), first->second.size()};
  };
  trace->Begin(parts.tracer, fmt::format("{}/{}", service, name),
               {header("traceparent"), header("tracestate")});
  trace->Note("rpc.system", "grpc");
  trace->Note("rpc.service", std::string(service));
  trace->Note("rpc.method", std::string(name));
}

void EndTrace(const Error* error, Tracer::Call* trace) {
  trace->Note("rpc.grpc.status_code",
              std::to_string(error == nullptr ? 0 : static_cast<int>(error->code)));
  trace->SetError(error);
}

template <typename Request, typename Response, typename Function>
grpc::Status Answer(std::string_view service, std::string_view name, const ServerParts& parts,
                    const grpc::ServerContext& context, const Request& request, Response* response,
                    Patience patience, Function function) {
  const auto started = Clock::now();
  Tracer::Call trace;
  BeginTrace(parts, context, service, name, &trace);
  CallSubject subject = SubjectOf(parts.config, parts.pods, request);
  CallsInFlight::Entry in_flight(parts.calls, DescribeCall(name, request));
  const CallContext call{DeadlineOf(context, patience),
                         [&context] { return context.IsCancelled(); },
                         [&in_flight](const std::string& step) { in_flight.SetStep(step); }};
  Result<Response> result = function(call);
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started);
  const Error* error = result ? nullptr : &result.error();
  parts.pods.meters().CallEnded(name, subject.handler, took, error);
  if (result) Complete(*result, &subject);
  subject.NoteIn(trace);
  EndTrace(error, &trace);
  Log(LevelOf(name, error), name,
      {{"pod", subject.pod},
       {"name", subject.name},
       {"container", subject.container},
       {"image", subject.image},
       {"ms", fmt::format("{:.1f}", static_cast<double>(took.count()) / 1000)},
       {"trace", trace.trace_id()},
       {"code", error == nullptr ? "" : std::string(ErrorCodeName(error->code))},
       {"error", error == nullptr ? "" : error->message}});
  if (error != nullptr) return ToGrpcStatus(*error);
  *response = std::move(*result);
  return grpc::Status::OK;
}

template <typename Response, typename Function>
grpc::Status AnswerStream(std::string_view name, const ServerParts& parts,
                          grpc::ServerContext& context, grpc::ServerWriter<Response>& writer,
                          Patience patience, Function function) {
  const auto started = Clock::now();
  const CallsInFlight::Entry in_flight(parts.calls, {.method = std::string(name)});
  const CallContext call{DeadlineOf(context, patience),
                         [&context] { return context.IsCancelled(); }};
  const StreamWriter<Response> stream{
      [&writer] { writer.SendInitialMetadata(); },
      [&writer](const Response& response) { return writer.Write(response); }};
  const ::catamaran::Status done = function(call, stream);
  const Error* error = done ? nullptr : &done.error();
  // How long a subscriber stays says nothing of us.
  if (patience != Patience::kUnbounded)
    parts.pods.meters().CallEnded(name, "", Clock::now() - started, error);
  Log(LevelOf(name, error), name,
      {{"code", error == nullptr ? "" : std::string(ErrorCodeName(error->code))},
       {"error", error == nullptr ? "" : error->message}});
  return error == nullptr ? grpc::Status::OK : ToGrpcStatus(*error);
}

grpc::Status Unimplemented(const char* name) {
  return {grpc::StatusCode::UNIMPLEMENTED,
          fmt::format("{} is not implemented by this runtime", name)};
}

// One line per RPC: its name, its message's stem, its function, what that works on besides.
#define CATAMARAN_RPC(rpc, stem, patience, function, ...)                                    \
  grpc::Status rpc(grpc::ServerContext* context, const v1::stem##Request* request,           \
                   v1::stem##Response* response) override {                                  \
    return Answer(kName, #rpc, parts_, *context, *request, response, patience,               \
                  [&](const CallContext& call) {                                             \
                    return ::catamaran::function(*request, call __VA_OPT__(, ) __VA_ARGS__); \
                  });                                                                        \
  }
#define CATAMARAN_POD_RPC(rpc, patience) \
  CATAMARAN_RPC(rpc, rpc, Patience::patience, rpc, parts_.pods)
#define CATAMARAN_STREAM_RPC(rpc, request_type, response_type, patience, part)                \
  grpc::Status rpc(grpc::ServerContext* context, const v1::request_type* request,             \
                   grpc::ServerWriter<v1::response_type>* writer) override {                  \
    return AnswerStream<v1::response_type>(#rpc, parts_, *context, *writer, patience,         \
                                           [&](const CallContext& call, const auto& stream) { \
                                             return ::catamaran::rpc(*request, call, part,    \
                                                                     stream);                 \
                                           });                                                \
  }
#define CATAMARAN_POD_STREAM_RPC(rpc) \
  CATAMARAN_STREAM_RPC(rpc, rpc##Request, rpc##Response, Patience::kDefault, parts_.pods)
#define CATAMARAN_UNIMPLEMENTED(rpc, request, response)                                \
  grpc::Status rpc(grpc::ServerContext*, const v1::request*, v1::response*) override { \
    return Unimplemented(#rpc);                                                        \
  }

class RuntimeService final : public v1::RuntimeService::Service {
 public:
  static constexpr char kName[] = "runtime.v1.RuntimeService";
  explicit RuntimeService(const ServerParts& parts) : parts_(parts) {}

  CATAMARAN_RPC(Version, Version, Patience::kDefault, GetVersion)
  CATAMARAN_RPC(Status, Status, Patience::kDefault, GetStatus, parts_.config, parts_.network,
                MoreInfo())
  CATAMARAN_RPC(RuntimeConfig, RuntimeConfig, Patience::kDefault, GetRuntimeConfig, parts_.config)
  CATAMARAN_RPC(UpdateRuntimeConfig, UpdateRuntimeConfig, Patience::kDefault, UpdateRuntimeConfig,
                parts_.network)

  CATAMARAN_POD_RPC(RunPodSandbox, kDefault)
  CATAMARAN_POD_RPC(StopPodSandbox, kDefault)
  CATAMARAN_POD_RPC(RemovePodSandbox, kDefault)
  CATAMARAN_POD_RPC(PodSandboxStatus, kDefault)
  CATAMARAN_POD_RPC(ListPodSandbox, kDefault)
  CATAMARAN_POD_RPC(PodSandboxStats, kDefault)
  CATAMARAN_POD_RPC(ListPodSandboxStats, kDefault)
  CATAMARAN_POD_RPC(CreateContainer, kDefault)
  CATAMARAN_POD_RPC(StartContainer, kDefault)
  CATAMARAN_POD_RPC(StopContainer, kUnbounded)
  CATAMARAN_POD_RPC(RemoveContainer, kDefault)
  CATAMARAN_POD_RPC(ContainerStatus, kDefault)
  CATAMARAN_POD_RPC(ListContainers, kDefault)
  CATAMARAN_POD_RPC(UpdateContainerResources, kDefault)
  CATAMARAN_POD_RPC(ReopenContainerLog, kDefault)
  CATAMARAN_POD_RPC(ExecSync, kUnbounded)
  CATAMARAN_POD_RPC(ContainerStats, kDefault)
  CATAMARAN_POD_RPC(ListContainerStats, kDefault)
  CATAMARAN_POD_RPC(UpdatePodSandboxResources, kDefault)
  CATAMARAN_POD_RPC(ListMetricDescriptors, kDefault)
  CATAMARAN_POD_RPC(ListPodSandboxMetrics, kDefault)

  CATAMARAN_RPC(Exec, Exec, Patience::kDefault, Exec, parts_.pods, parts_.streaming)
  CATAMARAN_RPC(Attach, Attach, Patience::kDefault, Attach, parts_.pods, parts_.streaming)
  CATAMARAN_RPC(PortForward, PortForward, Patience::kDefault, PortForward, parts_.pods,
                parts_.streaming)

  CATAMARAN_POD_STREAM_RPC(StreamPodSandboxes)
  CATAMARAN_POD_STREAM_RPC(StreamContainers)
  CATAMARAN_POD_STREAM_RPC(StreamContainerStats)
  CATAMARAN_POD_STREAM_RPC(StreamPodSandboxStats)
  CATAMARAN_POD_STREAM_RPC(StreamPodSandboxMetrics)
  CATAMARAN_STREAM_RPC(GetContainerEvents, GetEventsRequest, ContainerEventResponse,
                       Patience::kUnbounded, parts_.pods)

  CATAMARAN_UNIMPLEMENTED(CheckpointContainer, CheckpointContainerRequest,
                          CheckpointContainerResponse)
  CATAMARAN_UNIMPLEMENTED(CheckpointPod, CheckpointPodRequest, CheckpointPodResponse)
  CATAMARAN_UNIMPLEMENTED(RestorePod, RestorePodRequest, RestorePodResponse)

 private:
  std::map<std::string, std::string> MoreInfo() {
    auto info = parts_.pods.pool().Info();
    info["calls"] = parts_.calls.Json();
    return info;
  }

  const ServerParts parts_;
};

class ImageService final : public v1::ImageService::Service {
 public:
  static constexpr char kName[] = "runtime.v1.ImageService";
  explicit ImageService(const ServerParts& parts) : parts_(parts) {}

  CATAMARAN_RPC(ListImages, ListImages, Patience::kDefault, ListImages, parts_.images)
  CATAMARAN_RPC(ImageStatus, ImageStatus, Patience::kDefault, ImageStatus, parts_.images)
  CATAMARAN_RPC(RemoveImage, RemoveImage, Patience::kDefault, RemoveImage, parts_.images)
  CATAMARAN_RPC(ImageFsInfo, ImageFsInfo, Patience::kDefault, ImageFsInfo, parts_.config,
                parts_.images)
  CATAMARAN_RPC(PullImage, PullImage, Patience::kUnbounded, PullImage, parts_.puller,
                parts_.pods.meters())
  CATAMARAN_STREAM_RPC(StreamImages, StreamImagesRequest, StreamImagesResponse, Patience::kDefault,
                       parts_.images)

 private:
  const ServerParts parts_;
};

// Tells the command line how its call goes on.
class EventStream {
 public:
  EventStream(grpc::ServerContext& context, grpc::ServerWriter<control::ImageEvent>& writer)
      : context_(context), writer_(writer) {}

  // Work on images whose progress goes to the stream and that ends with it.
  ImageStore::LoadOptions Options(const std::string& reference) const {
    ImageStore::LoadOptions options{reference, {}, Deadline::Never()};
    options.cancelled = [this] { return context_.IsCancelled(); };
    options.progress = [this](const ImageStore::Progress& progress) {
      control::ImageEvent event;
      event.mutable_progress()->set_layer(progress.layer);
      event.mutable_progress()->set_done_bytes(progress.done_bytes);
      event.mutable_progress()->set_total_bytes(progress.total_bytes);
      event.mutable_progress()->set_finished(progress.finished);
      const std::lock_guard lock(mutex_);  // progress comes from several threads
      if (!context_.IsCancelled()) writer_.Write(event);
    };
    return options;
  }

  void Send(const Image& image) const {
    control::ImageEvent event;
    event.mutable_loaded()->set_id(image.id);
    for (const auto& tag : image.repo_tags) event.mutable_loaded()->add_repo_tags(tag);
    event.mutable_loaded()->set_size_bytes(image.size_bytes);
    event.mutable_loaded()->set_shared_bytes(image.shared_bytes());
    event.mutable_loaded()->set_pinned(image.pinned);
    writer_.Write(event);
  }

 private:
  grpc::ServerContext& context_;
  grpc::ServerWriter<control::ImageEvent>& writer_;
  mutable std::mutex mutex_;
};

class ControlService final : public control::Control::Service {
 public:
  explicit ControlService(const ServerParts& parts) : parts_(parts) {}

  grpc::Status LoadImage(grpc::ServerContext* context, const control::LoadImageRequest* request,
                         grpc::ServerWriter<control::ImageEvent>* writer) override {
    const EventStream stream(*context, *writer);
    auto images =
        parts_.images.Load(HostPath(request->source()), stream.Options(request->reference()));
    Log(images ? LogLevel::kInfo : LogLevel::kWarn, "LoadImage",
        {{"source", request->source()}, {"error", images ? "" : images.error().message}});
    if (!images) return ToGrpcStatus(images.error());
    for (const Image& image : *images) stream.Send(image);
    return grpc::Status::OK;
  }

  grpc::Status ListImages(grpc::ServerContext* context, const control::ListImagesRequest*,
                          grpc::ServerWriter<control::ImageEvent>* writer) override {
    const EventStream stream(*context, *writer);
    auto images = parts_.images.List();
    if (!images) return ToGrpcStatus(images.error());
    for (const Image& image : *images) stream.Send(image);
    return grpc::Status::OK;
  }

  grpc::Status PullImage(grpc::ServerContext* context, const control::PullImageRequest* request,
                         grpc::ServerWriter<control::ImageEvent>* writer) override {
    const EventStream stream(*context, *writer);
    const AuthFields fields{request->username(),       request->password(),      "", "",
                            request->identity_token(), request->registry_token()};
    auto image =
        MeasuredPull(parts_.puller, parts_.pods.meters(), request->reference(),
                     fields.empty() ? std::nullopt : std::optional(fields), stream.Options(""));
    Log(image ? LogLevel::kInfo : LogLevel::kWarn, "PullImage",
        {{"image", request->reference()}, {"error", image ? "" : image.error().message}});
    if (!image) return ToGrpcStatus(image.error());
    stream.Send(*image);
    return grpc::Status::OK;
  }

  grpc::Status Reload(grpc::ServerContext*, const control::ReloadRequest*,
                      control::ReloadResponse* response) override {
    const auto changes = parts_.reload();
    if (!changes) return ToGrpcStatus(changes.error());
    response->mutable_changes()->Assign(changes->begin(), changes->end());
    return grpc::Status::OK;
  }

 private:
  const ServerParts parts_;
};

class Server final : public GrpcServer {
 public:
  explicit Server(const ServerParts& parts) : runtime_(parts), images_(parts), control_(parts) {}

  ::catamaran::Status Listen(const HostPath& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket.string(), grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(kLargestMessage);
    builder.SetMaxSendMessageSize(kLargestMessage);
    grpc::ResourceQuota quota("catamaran");
    quota.SetMaxThreads(kMostThreads);
    builder.SetResourceQuota(quota);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 4);
    builder.RegisterService(&runtime_);
    builder.RegisterService(&images_);
    builder.RegisterService(&control_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return Fail(ErrorCode::kInternal, "listen on {}", socket.string());
    if (chmod(socket.c_str(), 0600) != 0) return FailWithErrno("chmod {}", socket.string());
    return {};
  }

  void Shutdown(Deadline deadline) override {
    server_->Shutdown(std::chrono::system_clock::now() + deadline.Remaining());
    server_->Wait();
  }

 private:
  RuntimeService runtime_;
  ImageService images_;
  ControlService control_;
  std::unique_ptr<grpc::Server> server_;  // last: it ends before the services
};

Status PrepareSocketFolder(const HostPath& folder) {
  RETURN_IF_ERROR(MakeDirectories(folder.value(), 0700));
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) return FailWithErrno("stat {}", folder.string());
  if (info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
    return Fail(ErrorCode::kFailedPrecondition,
                "listen: the folder {} is open to others (mode {:o}, owner {}): it must be 0700 "
                "and the daemon's own",
                folder.string(), info.st_mode & 07777, info.st_uid);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<GrpcServer>> GrpcServer::Start(const HostPath& socket,
                                                      const ServerParts& parts) {
  RETURN_IF_ERROR(PrepareSocketFolder(HostPath(socket.value().parent_path())));
  auto server = std::make_unique<Server>(parts);
  RETURN_IF_ERROR(server->Listen(socket));
  return server;
}

}  // namespace catamaran
