#include "e2e/harness/leaks.h"

#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "sandbox/base/files.h"
#include "sandbox/kernel/proc_status.h"

namespace catamaran::e2e {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), ::isdigit);
}

std::string OneLine(const fs::path& path) {
  std::ifstream file(path);
  std::string content((std::istreambuf_iterator<char>(file)), {});
  std::replace(content.begin(), content.end(), '\0', ' ');
  return content;
}

// Digits that differ between two runs of the same thing (pids, inodes) become '#'.
std::string WithoutNumbers(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c))) {
      out += c;
    } else if (out.empty() || out.back() != '#') {
      out += '#';
    }
  }
  return out;
}

bool IsTemplateKeeper(const fs::path& process) {
  return OneLine(process / "cmdline").find("keep-templates") != std::string::npos;
}

// The keeper's own short-lived children look like it.
bool WorksForTemplateKeeper(const fs::path& process) {
  return IsTemplateKeeper(fs::path("/proc") / ProcStatusField(process / "status", "PPid"));
}

// Belong to no scenario: one comes with a daemon's first VM and ends some time after the daemon.
// One more than there were is one too many; its first one is not.
Lines TemplateKeepers() {
  Lines lines;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    if (IsNumber(entry.path().filename()) && IsTemplateKeeper(entry.path()) &&
        !WorksForTemplateKeeper(entry.path())) {
      lines.push_back(OneLine(entry.path() / "cmdline"));
    }
  }
  if (!lines.empty()) lines.pop_back();
  return lines;
}

Lines Processes(const WorldPaths& paths, pid_t daemon) {
  Lines lines;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (!IsNumber(name) || IsTemplateKeeper(entry.path())) continue;
    const pid_t pid = atoi(name.c_str());
    // Its parent reaps orphans, as process 1 does.
    if (pid == getpid() || pid == daemon || pid == 1 || pid == getppid()) continue;
    if (!IsOfRun(paths, pid)) continue;
    std::string line = OneLine(entry.path() / "cmdline");
    if (line.empty()) line = OneLine(entry.path() / "comm");  // a zombie, or already gone
    if (!line.empty()) lines.push_back(name + " " + line);
  }
  return lines;
}

Lines Mounts() {
  Lines lines;
  std::ifstream file("/proc/self/mountinfo");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string id, parent, device, root, target;
    words >> id >> parent >> device >> root >> target;
    lines.push_back(target + " " + line.substr(line.find(" - ") + 3));
  }
  return lines;
}

// Those that a process is in or a mount pins.
Lines NetworkNamespaces() {
  std::set<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    if (!IsNumber(entry.path().filename())) continue;
    const std::string target = fs::read_symlink(entry.path() / "ns/net", error);
    if (!error) found.insert(target);
  }
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const size_t root = line.find(" net:[");
    if (root != std::string::npos) found.insert(line.substr(root + 1, line.find(']') - root));
  }
  return {found.begin(), found.end()};
}

Lines Links() {
  Lines lines;
  auto* names = if_nameindex();
  for (auto* entry = names; entry != nullptr && entry->if_index != 0; ++entry) {
    lines.emplace_back(entry->if_name);
  }
  if_freenameindex(names);
  return lines;
}

Lines FileLines(const char* path) {
  Lines lines;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) lines.push_back(line);
  return lines;
}

// Destination and link: counters and times change by themselves.
Lines IPv6Routes() {
  Lines lines;
  for (const std::string& line : FileLines("/proc/self/net/ipv6_route")) {
    std::istringstream words(line);
    std::string destination, word;
    words >> destination >> word;
    while (words >> word) continue;
    lines.push_back(destination + " " + word);
  }
  return lines;
}

Lines NftablesRules() {
  Lines lines;
  FILE* pipe = popen("nft list ruleset 2>&1", "re");
  char buffer[1024];
  while (pipe != nullptr && fgets(buffer, sizeof(buffer), pipe) != nullptr) {
    lines.emplace_back(buffer, strcspn(buffer, "\n"));
  }
  if (pipe != nullptr) pclose(pipe);
  return lines;
}

Lines Files(const std::string& top) {
  Lines lines;
  std::error_code error;
  for (fs::recursive_directory_iterator it(top, error), end; !error && it != end;
       it.increment(error)) {
    const std::string path = it->path();
    // The node's own, as UpdateRuntimeConfig gave it: it outlives the daemon on purpose.
    if (path.ends_with("/network/pod_cidr")) continue;
    // SQLite makes and removes these as it pleases.
    if (path.ends_with("-wal") || path.ends_with("-shm")) continue;
    // Made when first needed and kept: an image's merged disk until the image goes, the template of
    // a kind of VM.
    if (path.find("/images/merged/") != std::string::npos) continue;
    if ((path + "/").find("/templates/") != std::string::npos) continue;
    lines.push_back(path);
  }
  return lines;
}

// The process that a pidfd of another process stands for; 0 where it has ended.
pid_t TargetOfPidfd(pid_t owner, const std::string& number) {
  const fs::path info = fs::path("/proc") / std::to_string(owner) / "fdinfo" / number;
  return std::max(0, atoi(ProcStatusField(info, "Pid").c_str()));
}

// Of each socket of a process's network namespace, by inode: what it is and in which state, as
// proc(5) has it in net/.
std::map<std::string, std::string> Sockets(pid_t process) {
  struct Table {
    const char* name;
    size_t state, inode;  // columns
  };
  constexpr size_t kUnixPath = 7;
  std::map<std::string, std::string> sockets;
  for (const auto& table : {Table{"tcp", 3, 9}, Table{"tcp6", 3, 9}, Table{"unix", 5, 6},
                            Table{"netlink", 1, 9}, Table{"udp", 3, 9}}) {
    const std::string path = fmt::format("/proc/{}/net/{}", process, table.name);
    for (const std::string& line : FileLines(path.c_str())) {
      std::istringstream words(line);
      const Lines columns{std::istream_iterator<std::string>(words), {}};
      if (columns.size() <= table.inode) continue;
      std::string& socket = sockets[columns[table.inode]];
      socket = fmt::format("{} {}", table.name, columns[table.state]);
      // What it was bound to, as one that was accepted is: `catamaran.sock`.
      if (columns.size() > kUnixPath && columns[kUnixPath].starts_with('/'))
        socket += " " + fs::path(columns[kUnixPath]).filename().string();
    }
  }
  return sockets;
}

// What each descriptor of the daemon is, without the numbers. gRPC makes poll sets and event
// descriptors at will; only the daemon that started the templates' keeper can reap it.
Lines Descriptors(pid_t daemon) {
  Lines lines;
  std::error_code error;
  const auto sockets = Sockets(daemon);
  const fs::path folder = fs::path("/proc") / std::to_string(daemon) / "fd";
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string target = fs::read_symlink(entry.path(), error);
    if (error || target.find("[event") != std::string::npos) continue;
    if (target.find("[pidfd]") != std::string::npos) {
      const pid_t pid = TargetOfPidfd(daemon, entry.path().filename());
      if (pid > 0 && IsTemplateKeeper(fs::path("/proc") / std::to_string(pid))) continue;
    }
    constexpr std::string_view kSocket = "socket:[";
    std::string line = WithoutNumbers(target);
    if (target.starts_with(kSocket)) {
      const auto found =
          sockets.find(target.substr(kSocket.size(), target.find(']') - kSocket.size()));
      if (found != sockets.end()) line += " of " + found->second;
    }
    lines.push_back(line);
  }
  return lines;
}

void Subtract(const Lines& from, const Lines& what, const std::string& label, Lines& out) {
  Lines rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::back_inserter(rest));
  for (const std::string& line : rest) out.push_back(label + line);
}

}  // namespace

Snapshot TakeSnapshot(const WorldPaths& paths, pid_t daemon) {
  Snapshot snapshot;
  snapshot.kinds["processes"] = Processes(paths, daemon);
  snapshot.kinds["keepers of templates"] = TemplateKeepers();
  snapshot.kinds["mounts"] = Mounts();
  snapshot.kinds["network namespaces"] = NetworkNamespaces();
  snapshot.kinds["cgroups"] = ListCgroups(paths.cgroup_root);
  snapshot.kinds["links"] = Links();
  snapshot.kinds["routes"] = FileLines("/proc/self/net/route");
  snapshot.kinds["routes of IPv6"] = IPv6Routes();
  snapshot.kinds["nftables"] = NftablesRules();
  snapshot.kinds["files in root"] = Files(paths.root());
  snapshot.kinds["files in run"] = Files(paths.run());
  if (daemon != 0) snapshot.kinds["descriptors of the daemon"] = Descriptors(daemon);
  for (auto& [kind, lines] : snapshot.kinds) std::sort(lines.begin(), lines.end());
  return snapshot;
}

std::vector<std::string> Differences(const Snapshot& before, const Snapshot& now) {
  Lines out;
  for (const auto& [kind, lines] : now.kinds) {
    const auto earlier = before.kinds.find(kind);
    if (earlier == before.kinds.end()) continue;  // a daemon that was not there
    Subtract(lines, earlier->second, kind + ": new: ", out);
    // Fewer of these than before are no leak: connections and keepers come and go.
    if (kind != "descriptors of the daemon" && kind != "keepers of templates") {
      Subtract(earlier->second, lines, kind + ": gone: ", out);
    }
  }
  return out;
}

std::vector<std::string> DifferencesAfterSettling(const Snapshot& before,
                                                  const std::function<Snapshot()>& take,
                                                  std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    Lines differences = Differences(before, take());
    if (differences.empty() || std::chrono::steady_clock::now() >= end) return differences;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace catamaran::e2e
