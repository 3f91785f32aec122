// How plugins come and go: they are accepted or launched, configured, given the state of the node,
// and let go of once their connection has closed.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cri/nri/nri_plugins.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/unix_socket.h"

namespace catamaran {
namespace {

// Peers are root's programs: this many are a mistake of one of them.
constexpr size_t kMostPlugins = 64;
constexpr size_t kLargestConfig = 1 << 20;
constexpr int kPluginSocketFd = 3;

// Only root may put another socket there.
Status PrepareSocketFolder(const HostPath& socket) {
  const std::string folder = socket.value().parent_path();
  RETURN_IF_ERROR(MakeDirectories(folder, 0700));
  struct stat info;
  if (stat(folder.c_str(), &info) != 0) return FailWithErrno("stat {}", folder);
  if (info.st_uid != geteuid() || (info.st_mode & 022) != 0)
    return Fail(ErrorCode::kFailedPrecondition,
                "nri.socket: folder {} must belong to root and be writable by root alone", folder);
  return {};
}

bool IsServed(const HostPath& socket) { return ConnectUnix(socket.string()).has_value(); }

ino_t InodeOf(const HostPath& socket) {
  struct stat info {};
  return stat(socket.c_str(), &info) == 0 ? info.st_ino : 0;
}

// Until nobody serves it; false where this daemon stops first. A daemon that ends takes its socket
// away, which is seen without asking: one that is asked takes the question for a plugin.
bool WaitUntilUnserved(const HostPath& socket, int wake, const std::atomic<bool>& stopping) {
  constexpr int kLookEvery = 1000, kAskEvery = 60;  // milliseconds, looks
  ino_t seen = InodeOf(socket);
  for (int looks = 1; !stopping; ++looks) {
    pollfd woken{wake, POLLIN, 0};
    poll(&woken, 1, kLookEvery);
    const ino_t now = InodeOf(socket);
    // None: it may have gone before it was looked at for the first time.
    if (now != 0 && now == seen && looks % kAskEvery != 0) continue;
    if (!IsServed(socket)) return !stopping;
    seen = now;
  }
  return false;
}

}  // namespace

Status NriPlugins::Start() {
  if (!config_.enabled) return {};
  wake_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return FailWithErrno("eventfd");
  RETURN_IF_ERROR(PrepareSocketFolder(config_.socket));
  const auto begin = [this]() -> Status {
    RETURN_IF_ERROR(LaunchInstalled());
    return Listen();
  };
  if (!IsServed(config_.socket)) {
    RETURN_IF_ERROR(begin());
    acceptor_ = std::thread([this] { Accept(); });
    return {};
  }
  // Another runtime, as containerd beside which this one was just installed. Plugins would be torn
  // between the two.
  host_.notice(fmt::format(
      "nri.socket: another process listens on {}: plugins are its own until it has gone",
      config_.socket.string()));
  acceptor_ = std::thread([this, begin] {
    if (!WaitUntilUnserved(config_.socket, wake_.get(), stopping_)) return;
    const Status begun = begin();
    if (begun) return Accept();
    host_.notice(begun.error().message);
  });
  return {};
}

void NriPlugins::Stop() {
  if (stopping_.exchange(true)) return;
  Wake();
  if (acceptor_.joinable()) acceptor_.join();
  for (Session& session : sessions_) {
    session.plugin->Close();
    if (session.thread.joinable()) session.thread.join();
  }
  sessions_.clear();
  PluginList ended;
  {
    std::lock_guard lock(order_);
    ended.swap(plugins_);
    any_ = false;
  }
  for (const auto& plugin : ended) plugin->Shutdown();
  if (listener_.valid()) unlink(config_.socket.c_str());
}

void NriPlugins::Wake() {
  if (wake_.valid()) eventfd_write(wake_.get(), 1);
}

NriPlugin::Parts NriPlugins::NewParts() {
  NriPlugin::Parts parts;
  parts.times = {config_.request_timeout, config_.registration_timeout};
  parts.notice = host_.notice;
  parts.on_closed = [this] { Wake(); };
  parts.update = [this](const nri::UpdateContainersRequest& request) {
    nri::UpdateContainersResponse response;
    const auto failed = host_.update({request.update().begin(), request.update().end()},
                                     {request.evict().begin(), request.evict().end()});
    for (const auto& update : failed) *response.add_failed() = update;
    return response;
  };
  return parts;
}

void NriPlugins::Join(const std::shared_ptr<NriPlugin>& plugin) {
  auto joined = plugin->Begin();
  if (joined) joined = Synchronize(plugin);
  if (joined) {
    host_.notice("NRI plugin " + plugin->full_name() + " has joined");
    return;
  }
  if (!stopping_) host_.notice("NRI plugin " + plugin->full_name() + ": " + joined.error().message);
  plugin->Close();
}

Status NriPlugins::Synchronize(const std::shared_ptr<NriPlugin>& plugin) {
  // Events from here on wait for this turn.
  ASSIGN_OR_RETURN(auto turn, plugin->TakeTurn(Deadline::After(config_.request_timeout)));
  nri::SynchronizeRequest everything;
  {
    std::lock_guard lock(order_);
    if (stopping_) return Fail(ErrorCode::kUnavailable, "the daemon ends");
    everything = host_.snapshot();
    for (const auto& container : everything.containers())
      if (container.state() == nri::CONTAINER_STOPPED) plugin->seen_stopped.insert(container.id());
    const auto after =
        std::upper_bound(plugins_.begin(), plugins_.end(), plugin,
                         [](const auto& a, const auto& b) { return a->index() < b->index(); });
    plugins_.insert(after, plugin);
    any_ = true;
  }
  ASSIGN_OR_RETURN(const nri::UpdateContainerResponse wanted, plugin->Synchronize(everything));
  turn.unlock();
  host_.update({wanted.update().begin(), wanted.update().end()}, {});
  return {};
}

// ---- Installed plugins ----

Result<std::shared_ptr<NriPlugin>> NriPlugins::Launch(const std::string& index,
                                                      const std::string& name) {
  const std::string full_name = index + "-" + name;
  NriPlugin::Parts parts = NewParts();
  parts.index = index;
  parts.name = name;
  for (const std::string& file : {full_name + ".conf", name + ".conf"}) {
    auto text = ReadFile((config_.config_dir / file).value(), kLargestConfig);
    if (text) {
      parts.config = *std::move(text);
      break;
    }
    if (text.error().code != ErrorCode::kNotFound) return tl::unexpected(std::move(text).error());
  }
  ASSIGN_OR_RETURN(auto sockets, MakeSocketPair(SOCK_STREAM));
  ASSIGN_OR_RETURN(const UniqueFd program,
                   OpenFile((config_.plugin_dir / full_name).value(), O_RDONLY));
  SpawnOptions options;
  options.environment = {"NRI_PLUGIN_NAME=" + name, "NRI_PLUGIN_IDX=" + index,
                         fmt::format("NRI_PLUGIN_SOCKET={}", kPluginSocketFd)};
  ASSIGN_OR_RETURN(parts.process, SpawnProgram(program, {(config_.plugin_dir / full_name).string()},
                                               {{sockets.theirs.get(), kPluginSocketFd}}, options));
  return std::make_shared<NriPlugin>(std::move(sockets.ours), std::move(parts));
}

Status NriPlugins::LaunchInstalled() {
  if (!Exists(config_.plugin_dir.value())) return {};
  ASSIGN_OR_RETURN(auto files, ListDirectory(config_.plugin_dir.value()));
  std::sort(files.begin(), files.end());
  std::vector<std::thread> joining;
  for (const std::string& file : files) {
    struct stat info;
    const std::string path = (config_.plugin_dir / file).string();
    if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0)
      continue;
    const size_t dash = std::min(file.find('-'), file.size());
    const std::string index = file.substr(0, dash);
    const std::string name = dash < file.size() ? file.substr(dash + 1) : "";
    if (!CheckPluginIndex(index) || !CheckPluginName(name)) {
      host_.notice(path + " is no NRI plugin: its name must be NN-NAME");
      continue;
    }
    if (auto plugin = Launch(index, name)) {
      joining.emplace_back([this, plugin = *plugin] { Join(plugin); });
    } else {
      host_.notice("NRI plugin " + file + ": " + plugin.error().message);
    }
  }
  for (std::thread& thread : joining) thread.join();
  return {};
}

// ---- Plugins that connect ----

Status NriPlugins::Listen() {
  auto listener = ListenUnix(config_.socket.string());
  if (!listener) return tl::unexpected(std::move(listener).error().While("nri.socket"));
  listener_ = *std::move(listener);
  return {};
}

void NriPlugins::Accept() {
  while (!stopping_) {
    pollfd wanted[] = {{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    if (poll(wanted, std::size(wanted), -1) < 0 && errno != EINTR) return;
    eventfd_t count = 0;
    (void)eventfd_read(wake_.get(), &count);
    DropClosed();
    if (!stopping_ && (wanted[1].revents & POLLIN) != 0) TakeConnection();
  }
}

void NriPlugins::TakeConnection() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket.valid()) return;
  if (auto checked = CheckPeer(socket.get()); !checked) {
    host_.notice("nri.socket: " + checked.error().message);
    return;
  }
  size_t plugins = 0;
  {
    std::lock_guard lock(order_);
    plugins = plugins_.size();
  }
  if (plugins + sessions_.size() >= kMostPlugins) {
    host_.notice(fmt::format("nri.socket: more than {} plugins", kMostPlugins));
    return;
  }
  Session& session = sessions_.emplace_back();
  session.plugin = std::make_shared<NriPlugin>(std::move(socket), NewParts());
  session.thread = std::thread([this, &session] {
    Join(session.plugin);
    session.done = true;
    Wake();
  });
}

void NriPlugins::DropClosed() {
  for (auto session = sessions_.begin(); session != sessions_.end();) {
    if (!session->done) {
      ++session;
      continue;
    }
    session->thread.join();
    session = sessions_.erase(session);
  }
  PluginList closed;
  {
    std::lock_guard lock(order_);
    const auto first = std::stable_partition(plugins_.begin(), plugins_.end(),
                                             [](const auto& plugin) { return !plugin->closed(); });
    closed.assign(first, plugins_.end());
    plugins_.erase(first, plugins_.end());
    any_ = !plugins_.empty();
  }
  // Here they are destroyed, unless an event still holds one.
  for (const auto& plugin : closed) host_.notice("NRI plugin " + plugin->full_name() + " has gone");
}

}  // namespace catamaran
