#include "e2e/bench/runtime.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "e2e/harness/daemon.h"
#include "e2e/harness/world.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kContainerd[] = "/usr/bin/containerd", kCrun[] = "/usr/bin/crun";
constexpr auto kServing = std::chrono::seconds(60);
constexpr auto kPoolLimit = std::chrono::seconds(300);

// The same plugins with the same options for every runtime that has CNI; only the bridge differs.
Status WriteCniConfiguration(const std::string& folder, const std::string& bridge,
                             const std::string& subnet) {
  RETURN_IF_ERROR(MakeDirectories(folder));
  return ReplaceFile(folder + "/10-bench.conflist",
                     fmt::format(R"({{"cniVersion": "1.0.0", "name": "{0}", "plugins": [
  {{"type": "bridge", "bridge": "{0}", "isGateway": true, "ipMasq": true,
    "ipam": {{"type": "host-local", "dataDir": "{2}/addresses", "ranges": [[{{"subnet": "{1}"}}]],
             "routes": [{{"dst": "0.0.0.0/0"}}]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}})",
                                 bridge, subnet, folder),
                     0600, Durability::kProcessCrash);
}

std::string ContainerdConfiguration(const std::string& base, const std::string& run,
                                    const std::string& pause_image) {
  const std::string cri = "plugins.\"io.containerd.grpc.v1.cri\"";
  std::string text = fmt::format(
      "version = 2\nroot = \"{0}/root\"\nstate = \"{1}\"\n"
      "[grpc]\n  address = \"{1}/containerd.sock\"\n"
      "[{2}]\n  sandbox_image = \"{3}\"\n  restrict_oom_score_adj = true\n"
      "[{2}.cni]\n  bin_dir = \"/usr/lib/cni\"\n  conf_dir = \"{0}/cni\"\n"
      "[{2}.containerd]\n  default_runtime_name = \"runc\"\n",
      base, run, cri, pause_image);
  for (const std::string runtime : {"runc", "crun"}) {
    if (runtime == "crun" && !Exists(kCrun)) continue;
    text += fmt::format(
        "[{0}.containerd.runtimes.{1}]\n  runtime_type = \"io.containerd.runc.v2\"\n"
        "[{0}.containerd.runtimes.{1}.options]\n  BinaryName = \"/usr/{2}/{1}\"\n",
        cri, runtime, runtime == "runc" ? "sbin" : "bin");
  }
  return text;
}

std::string FirstLine(const std::vector<std::string>& command) {
  const std::string output = RunProgram(command).output;
  return output.substr(0, output.find('\n'));
}

}  // namespace

Result<std::unique_ptr<Runtime>> Runtime::StartCatamaran(const WorldPaths& world,
                                                         const std::string& network, int pool) {
  const std::string kind = pool > 0 ? "pool" : network;
  const std::string name = kind == "builtin" ? "catamaran" : "catamaran " + kind;
  std::unique_ptr<Runtime> runtime(new Runtime(name));
  const std::string base = world.base + "/catamaran-" + kind;
  const std::string run = world.run() + "/catamaran-" + kind;
  RETURN_IF_ERROR(MakeDirectories(base));
  RETURN_IF_ERROR(WriteCniConfiguration(base + "/cni", "bench-own", "10.91.0.0/16"));
  const std::string text = fmt::format(
      "listen: unix://{0}/catamaran.sock\nroot: {1}/root\nrun: {0}\ncgroup_root: {2}/pods\n"
      "nri: {{socket: {0}/nri/nri.sock, plugin_dir: {1}/nri-plugins}}\n"
      "allow_emulation: true\ntemplates: {3}\nlog: {{level: warn}}\nnetwork: {4}\n{5}{6}",
      run, base, world.cgroup_root + "/catamaran-" + kind, TemplateFolder(), network,
      network == "cni"
          ? fmt::format("cni: {{conf_dir: {}/cni, bin_dirs: [/usr/lib/cni]}}\n", base)
          : fmt::format("builtin_network: {{cidr_v4: 10.{}.0.0/16}}\n", pool > 0 ? 93 : 90),
      pool > 0 ? fmt::format("handlers: [{{name: ns, backend: ns}}, {{name: vm, backend: vm, "
                             "machine: {{pool: {}}}}}]\n",
                             pool)
               : "");
  const std::string file = base + "/catamaran.yaml";
  RETURN_IF_ERROR(ReplaceFile(file, text, 0600, Durability::kProcessCrash));
  RETURN_IF_ERROR(runtime->Start(world, {ProgramFolder() + "/catamaran", "serve", "--config", file},
                                 base, run + "/catamaran.sock"));
  return runtime;
}

Result<std::unique_ptr<Runtime>> Runtime::StartContainerd(const WorldPaths& world,
                                                          const std::string& pause_image) {
  std::unique_ptr<Runtime> runtime(new Runtime("containerd"));
  const std::string base = world.base + "/containerd", run = world.run() + "/containerd";
  RETURN_IF_ERROR(WriteCniConfiguration(base + "/cni", "bench-other", "10.92.0.0/16"));
  RETURN_IF_ERROR(ReplaceFile(base + "/config.toml",
                              ContainerdConfiguration(base, run, pause_image), 0600,
                              Durability::kProcessCrash));
  runtime->cgroup_parent_ = world.cgroup_root + "/containerd/pods";
  RETURN_IF_ERROR(runtime->Start(world, {kContainerd, "--config", base + "/config.toml"}, base,
                                 run + "/containerd.sock"));
  runtime->version_ += ", " + FirstLine({"/usr/sbin/runc", "--version"});
  if (Exists(kCrun)) runtime->version_ += ", " + FirstLine({kCrun, "--version"});
  return runtime;
}

Result<std::unique_ptr<Runtime>> Runtime::Connect(const std::string& endpoint) {
  std::unique_ptr<Runtime> runtime(new Runtime(""));
  runtime->cri_ = std::make_unique<CriClient>(endpoint);
  RETURN_IF_ERROR(runtime->ReadVersion());
  runtime->name_ = runtime->version_.substr(0, runtime->version_.find(' '));
  return runtime;
}

Runtime::~Runtime() {
  if (daemon_ == 0) return;
  kill(daemon_, SIGKILL);
  waitpid(daemon_, nullptr, 0);
}

Status Runtime::Start(const WorldPaths& world, const std::vector<std::string>& command,
                      const std::string& base, const std::string& socket) {
  std::string label = base.substr(base.rfind('/') + 1);
  ASSIGN_OR_RETURN(const auto tree, CgroupTree::Open());
  // Where this process comes back to; children are born where their parent is.
  ASSIGN_OR_RETURN(const Cgroup own, tree->Create(world.cgroup_root + ".runner"));
  ASSIGN_OR_RETURN(Cgroup group, tree->Create(world.cgroup_root + "/" + label));
  ASSIGN_OR_RETURN(const Cgroup daemon_group,
                   tree->Create(world.cgroup_root + "/" + label + "/daemon"));
  RETURN_IF_ERROR(daemon_group.Attach(0));
  auto started = StartProgram(command, base + "/daemon.log");
  RETURN_IF_ERROR(own.Attach(0));
  if (!started) return tl::unexpected<Error>(started.error());
  daemon_ = *started;
  group_ = std::move(group);
  const auto end = std::chrono::steady_clock::now() + kServing;
  cri_ = std::make_unique<CriClient>("unix://" + socket);
  for (;;) {
    if (Exists(socket)) {
      if (auto answered = ReadVersion()) return {};
      cri_->Reconnect();
    }
    if (waitpid(daemon_, nullptr, WNOHANG) == daemon_) daemon_ = 0;
    if (daemon_ == 0 || std::chrono::steady_clock::now() > end)
      return Fail(ErrorCode::kUnavailable, "{} does not serve:\n{}", name_,
                  ReadFile(base + "/daemon.log").value_or(""));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Status Runtime::ReadVersion() {
  auto reply = cri_->Version({});
  if (!reply.ok()) return tl::unexpected<Error>(Error(reply.error).While("Version"));
  version_ = reply->runtime_name() + " " + reply->runtime_version();
  return {};
}

Result<int> Runtime::AwaitFullPool(int wanted) {
  const auto end = std::chrono::steady_clock::now() + kPoolLimit;
  v1::StatusRequest request;
  request.set_verbose(true);
  for (;;) {
    const auto reply = cri_->Status(request);
    if (!reply.ok()) return tl::unexpected<Error>(Error(reply.error).While("Status"));
    const auto info = reply->info().find("pool");
    if (info == reply->info().end()) return Fail(ErrorCode::kNotFound, "{} has no pool", name_);
    const auto pool = nlohmann::json::parse(info->second).at("vm");
    if (pool.at("waiting") == wanted) return pool.at("used").get<int>();
    if (std::chrono::steady_clock::now() > end)
      return Fail(ErrorCode::kDeadlineExceeded, "the pool does not fill: {}", info->second);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

Result<double> Runtime::CpuMilliseconds() const {
  if (!group_) return Fail(ErrorCode::kFailedPrecondition, "{} is not ours", name_);
  ASSIGN_OR_RETURN(const auto stats, group_->Stats());
  return static_cast<double>(stats.cpu().usage_ns()) / 1e6;
}

Result<std::vector<pid_t>> Runtime::Processes() const {
  if (!group_) return Fail(ErrorCode::kFailedPrecondition, "{} is not ours", name_);
  return group_->Processes(Cgroup::Depth::kTree);
}

}  // namespace catamaran::e2e
