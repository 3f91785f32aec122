#include "cri/serve.h"

#include <csignal>

#include <memory>

#include "cri/base/notice.h"
#include "cri/base/version.h"
#include "cri/images/image_store.h"
#include "cri/network/builtin/builtin_network.h"
#include "cri/network/cni/cni_network.h"
#include "cri/nri/nri_plugins.h"
#include "cri/operate/node_gauges.h"
#include "cri/operate/reload.h"
#include "cri/pods/pods.h"
#include "cri/pods/writable_limit.h"
#include "cri/registry/image_puller.h"
#include "cri/service/directory_lock.h"
#include "cri/service/grpc_server.h"
#include "cri/service/log.h"
#include "cri/service/readiness.h"
#include "cri/signatures/signature_policy.h"
#include "cri/streaming/streaming_server.h"
#include "cri/telemetry/metrics_server.h"
#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "shim/client/shim_client.h"

namespace catamaran {
namespace {

// `catamaran image load` may be at work on the root folder.
constexpr auto kLockPatience = std::chrono::seconds(60);
// What a daemon's predecessor left is adopted or ended in this time; the rest in the background.
constexpr auto kRecoveryPatience = std::chrono::seconds(60);
// Calls in flight get this long when the daemon is told to end.
constexpr auto kShutdownPatience = std::chrono::seconds(5);

// Blocks the signals that end the daemon or have it read its configuration anew in this thread and
// in all that it starts, so that one place waits for them.
class Signals {
 public:
  Signals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  int Wait() const {
    int number = 0;
    sigwait(&signals_, &number);
    return number;
  }

 private:
  sigset_t signals_;
};

void WriteNotice(const About& about, const std::string& text) {
  Log(LogLevel::kWarn, "notice",
      {{"pod", about.pod}, {"container", about.container}, {"what", text}});
}
void WriteNodeNotice(const std::string& text) { WriteNotice({}, text); }

Result<std::unique_ptr<PodNetwork>> MakeNetwork(const Config& config) {
  if (config.network == Config::Network::kBuiltin) {
    return MakeBuiltinNetwork(
        {config.root, config.run, config.builtin_cidr_v4, config.builtin_cidr_v6, config.shim});
  }
  return MakeCniNetwork({.root = config.root,
                         .run = config.run,
                         .conf_dir = config.cni_conf_dir,
                         .bin_dirs = config.cni_bin_dirs,
                         .shim = config.shim,
                         .notice = WriteNotice});
}

// The daemon's parts, each of which stands on those before it.
struct Daemon {
  std::shared_ptr<Meters> meters = std::make_shared<Meters>();
  std::shared_ptr<SignaturePolicy> policy;
  std::unique_ptr<ImageStore> images;
  std::unique_ptr<ImagePuller> puller;
  std::unique_ptr<PodNetwork> network;
  std::unique_ptr<PodCgroups> cgroups;
  std::unique_ptr<Pods> pods;
  std::unique_ptr<StreamingServer> streaming;
  std::unique_ptr<CallsInFlight> calls = std::make_unique<CallsInFlight>();
  std::unique_ptr<Tracer> tracer;
  std::unique_ptr<MetricsServer> metrics;
};

// Said at start, not by every container.
Status CheckHandlers(const Config& config) {
  for (const HandlerConfig& handler : config.handlers) {
    if (handler.writable_layer_limit == 0) continue;
    auto kept = CheckWritableLimits(config.root);
    if (!kept)
      return tl::unexpected(std::move(kept).error().While(
          fmt::format("handler {}: writable_layer_limit", handler.name)));
  }
  return {};
}

Result<Daemon> MakeDaemon(const Config& config) {
  Daemon daemon;
  RETURN_IF_ERROR(CheckHandlers(config));
  daemon.policy = std::make_shared<SignaturePolicy>(config.images.signature_policy);
  RETURN_IF_ERROR(daemon.policy->CheckKeys());
  ASSIGN_OR_RETURN(daemon.images,
                   ImageStore::Open(config.root / "images",
                                    {config.images.pinned, WriteNodeNotice, daemon.policy}));
  daemon.puller = std::make_unique<ImagePuller>(
      *daemon.images, ImagePuller::Options{.hosts_dir = config.images.hosts_dir,
                                           .docker_config = config.images.docker_config,
                                           .policy = daemon.policy,
                                           .received = [meters = daemon.meters](size_t bytes) {
                                             meters->PullReceived(bytes);
                                           }});
  ASSIGN_OR_RETURN(daemon.network, MakeNetwork(config));
  ASSIGN_OR_RETURN(daemon.cgroups, OpenPodCgroups(config));
  ASSIGN_OR_RETURN(auto shims, ShimManager::Create({config.shim.string()}));
  ASSIGN_OR_RETURN(std::string boot_id, ReadBootId());
  PodsParts parts{std::move(shims), *daemon.images, *daemon.network,
                  *daemon.cgroups,  WriteNotice,    daemon.meters};
  daemon.pods = std::make_unique<Pods>(config, std::move(parts), std::move(boot_id));
  RETURN_IF_ERROR(daemon.pods->Recover(Deadline::After(kRecoveryPatience)));
  RETURN_IF_ERROR(daemon.pods->nri().Start());
  ASSIGN_OR_RETURN(daemon.streaming, StreamingServer::Start({.address = config.streaming.address,
                                                             .port = config.streaming.port,
                                                             .idle = config.streaming.idle}));
  daemon.tracer = std::make_unique<Tracer>(
      *daemon.meters, TraceExporter::Options{.version = Version(), .notice = WriteNodeNotice});
  RETURN_IF_ERROR(daemon.tracer->Replace(config.tracing));
  const auto text = [meters = daemon.meters, pods = daemon.pods.get(), calls = daemon.calls.get()] {
    return meters->Text(NodeGauges(*pods, *calls));
  };
  ASSIGN_OR_RETURN(daemon.metrics,
                   MetricsServer::Start(config.MetricsSocket(), config.metrics, text));
  return daemon;
}

}  // namespace

Status Serve(const Config& config, const std::function<Result<Config>()>& read_again,
             int ready_fd) {
  const Signals signals;
  InitAbortSteps("daemon");
  SetLogLevel(config.log_level);
  SetLogFormat(config.log_format);
  RETURN_IF_ERROR(MakeDirectories(config.run.value(), 0700));
  RETURN_IF_ERROR(MakeDirectories(config.root.value(), 0700));
  ASSIGN_OR_RETURN(const DirectoryLock run_lock,
                   DirectoryLock::Take(config.run, config.listen, Deadline::After(kLockPatience)));
  ASSIGN_OR_RETURN(const DirectoryLock root_lock,
                   DirectoryLock::Take(config.root, config.listen, Deadline::After(kLockPatience)));
  ASSIGN_OR_RETURN(const HostPath socket, SocketPathOf(config.listen));
  ASSIGN_OR_RETURN(const Daemon daemon, MakeDaemon(config));
  Reloader reloader(
      config, read_again,
      {*daemon.policy, *daemon.puller, *daemon.metrics, *daemon.meters, *daemon.tracer});
  const auto reload = [&reloader] { return reloader.Reload(); };
  ASSIGN_OR_RETURN(const auto server,
                   GrpcServer::Start(socket, {config, *daemon.images, *daemon.puller,
                                              *daemon.network, *daemon.pods, *daemon.streaming,
                                              *daemon.calls, *daemon.tracer, reload}));
  Log(LogLevel::kInfo, "serving",
      {{"listen", config.listen},
       {"root", config.root.string()},
       {"run", config.run.string()},
       {"metrics", daemon.metrics->url()},
       {"handlers", config.HandlerNames()}});
  RETURN_IF_ERROR(NotifyServiceManager("READY=1"));
  RETURN_IF_ERROR(NotifyReadyFd(ready_fd));
  int signal_number = signals.Wait();
  for (; signal_number == SIGHUP; signal_number = signals.Wait()) (void)reloader.Reload();
  Log(LogLevel::kInfo, "ending", {{"signal", sigabbrev_np(signal_number)}});
  RETURN_IF_ERROR(NotifyServiceManager("STOPPING=1"));
  daemon.pods->events().End();  // its subscribers would stay for ever
  server->Shutdown(Deadline::After(kShutdownPatience));
  return {};
}

}  // namespace catamaran
