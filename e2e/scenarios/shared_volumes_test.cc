// Volumes that others use at the same time: other containers, programs of the host, and links that
// would lead out of them.
#include <sys/socket.h>
#include <sys/un.h>

#include <map>

#include "e2e/scenarios/volumes_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

class SharedVolumes : public VolumeTest {
 protected:
  // What a program of the host gets that connects to a unix socket.
  static std::string ConnectFromTheHost(const std::string& path) {
    const UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = AddressOf(path);
    const auto* name = reinterpret_cast<const sockaddr*>(&address);
    return connect(client.get(), name, sizeof address) == 0 ? "connected" : strerror(errno);
  }
  static UniqueFd ListenOnTheHost(const std::string& path) {
    UniqueFd server(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = AddressOf(path);
    EXPECT_EQ(bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
        << strerror(errno);
    EXPECT_EQ(listen(server.get(), 4), 0);
    return server;
  }
  static sockaddr_un AddressOf(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    EXPECT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  bool Prints(const std::string& container, const std::string& text) {
    return WaitUntil(
        [&] { return TextOf(Log(container), "stdout").find(text) != std::string::npos; });
  }
};

TEST_P(SharedVolumes, TwoContainersAppendAndLockAtOnce) {
  constexpr int kTimes = 150;
  const std::string folder = world().NewFolder("volume");
  // Each waits for the other before it begins.
  const std::string script =
      "cd /v; touch ready-$0; while [ ! -e ready-$1 ]; do :; done; probe append lines {} $0; "
      "for kind in flock fcntl ofd; do probe count $kind {} $kind; done; echo complete";
  std::vector<std::string> ids;
  for (const std::string me : {"a", "b"}) {
    auto config = ContainerConfig(
        "writer-" + me, {"/bin/sh", "-c", fmt::format(fmt::runtime(script), kTimes, kTimes), me,
                         me == "a" ? "b" : "a"});
    AddMount(config, folder, "/v");
    ids.push_back(CreateAndStart(pod_, config));
  }
  for (const std::string& id : ids)
    ASSERT_TRUE(Prints(id, "complete")) << TextOf(Log(id), "stderr");
  for (const std::string kind : {"flock", "fcntl", "ofd"}) {
    auto count = ReadFile(folder + "/" + kind);
    EXPECT_EQ(count ? *count : count.error().message, std::to_string(2 * kTimes)) << kind;
  }
  auto lines = ReadFile(folder + "/lines");
  ASSERT_TRUE(lines) << lines.error().message;
  std::istringstream stream(*lines);
  std::map<std::string, int> next;
  for (std::string line; std::getline(stream, line);) {
    // None torn, and each writer's in its order.
    const std::string writer = line.substr(0, 1);
    EXPECT_EQ(line, fmt::format("{} {}", writer, next[writer]++));
  }
  EXPECT_EQ(next, (std::map<std::string, int>{{"a", kTimes}, {"b", kTimes}}));
}

TEST_P(SharedVolumes, WhatTheHostChangesIsSeenWithinASecond) {
  const std::string folder = world().NewFolder("volume");
  for (const char* name : {"grows", "moves", "goes", "mode"}) WriteFile(folder + "/" + name, "old");
  const std::string id = Sleeper({{folder, "/v"}});
  const std::string look = "cd /v; ls; cat grows; stat -c %a mode";
  ASSERT_EQ(Output(id, look), "goes\ngrows\nmode\nmoves\nold644\n");
  WriteFile(folder + "/grows", "new and longer");
  WriteFile(folder + "/comes", "new");
  ASSERT_EQ(chmod((folder + "/mode").c_str(), 0600), 0);
  std::filesystem::rename(folder + "/moves", folder + "/moved");
  std::filesystem::remove(folder + "/goes");
  // The guest keeps what it knows for one second of its own clock.
  EXPECT_EQ(Output(id, "sleep 1.1; " + look), "comes\ngrows\nmode\nmoved\nnew and longer600\n");
  // What is written in place is seen by whoever opens the file, however long it is.
  WriteFile(folder + "/grows", "now and longer");
  EXPECT_EQ(Output(id, "sleep 1.1; cat /v/grows"), "now and longer");
  // And the other way at once.
  Output(id, "echo container >> /v/grows; mv /v/moved /v/again");
  auto content = ReadFile(folder + "/grows");
  EXPECT_EQ(content ? *content : content.error().message, "now and longercontainer\n");
  EXPECT_TRUE(Exists(folder + "/again"));
}

TEST_P(SharedVolumes, AFolderOfFiveThousandFilesIsListedWholeAndRemoved) {
  constexpr int kFiles = 5000, kRemoved = 1000;
  const std::string folder = world().NewFolder("volume");
  Made(folder + "/some");
  for (int i = 0; i < kFiles; ++i) WriteFile(fmt::format("{}/file-{}", folder, i), "");
  for (int i = 0; i < kRemoved; ++i) WriteFile(fmt::format("{}/some/{}", folder, i), "");
  const std::string id = Sleeper({{folder, "/v"}});
  EXPECT_EQ(Output(id, "cd /v; ls | wc -l; ls | sort -u | wc -l; find . -type f | wc -l"),
            fmt::format("{0}\n{0}\n{1}\n", kFiles + 1, kFiles + kRemoved));
  Output(id, "rm -r /v/some");
  EXPECT_FALSE(Exists(folder + "/some"));
  EXPECT_EQ(ListDirectory(folder)->size(), static_cast<size_t>(kFiles));
}

// A socket belongs to the kernel that made it: what its file says to others differs by hull.
TEST_P(SharedVolumes, UnixSocketsJoinTheContainersOfAPod) {
  const std::string folder = world().NewFolder("sockets");
  const std::string other_kernel = on_vm() ? strerror(ECONNREFUSED) : "connected";
  const UniqueFd listener = ListenOnTheHost(folder + "/host");
  auto config = Shell("probe serve /v/pod; probe serve /v/second; sleep 100000");
  AddMount(config, folder, "/v");
  const std::string server = CreateAndStart(pod_, config);
  const std::string client = Sleeper({{folder, "/elsewhere"}});
  ASSERT_TRUE(Prints(server, "listening"));
  EXPECT_EQ(Output(client, "probe connect /elsewhere/pod"), "connected\n");
  ASSERT_TRUE(Prints(server, "served\nlistening"));
  EXPECT_EQ(Output(client, "probe connect /elsewhere/host"), other_kernel + "\n");
  EXPECT_EQ(ConnectFromTheHost(folder + "/second"), other_kernel);
}

// Containers may put links into what they write; none leads them, or a container that is given a
// part of the volume later, to files of the host or of the guest itself.
TEST_P(SharedVolumes, NoLinkLeadsOutOfAVolumeOfAnyKind) {
  const std::string secrets = world().NewFolder("secrets");
  WriteFile(secrets + "/secret", "the host's secret\n");
  Made(secrets + "/below");
  const std::map<std::string, std::string> volumes = {
      {"hostpath", world().NewFolder("volume")},
      {"claim", VolumeFolder("csi", "claim") + "/mount"},
      {"disk", VolumeFolder("empty-dir", "disk")},
      {"memory", MemoryVolume("memory", "size=4m,mode=0777")},
  };
  std::map<std::string, std::string> parts;
  std::vector<std::pair<std::string, std::string>> mounts;
  for (const auto& [kind, folder] : volumes) {
    Made(folder + "/a/below");
    if (kind != "hostpath") parts[kind] = SubPath(folder + "/a/below", kind);
    mounts.emplace_back(folder, "/" + kind);
  }
  const std::string whole = Sleeper(mounts);
  for (const auto& [kind, folder] : volumes) {
    SCOPED_TRACE(kind);
    const std::string up = "../../../../../../../../../../../../../..";
    EXPECT_EQ(
        Output(whole, fmt::format("cd /{0}; mkdir -p a/below; ln -s {1}/secret absolute; "
                                  "ln -s {2}{1}/secret relative; ln -s {1} folder; "
                                  "for l in absolute relative folder/secret {2}{1}/secret; do "
                                  "cat $l 2>/dev/null || echo none; done; "
                                  "touch folder/made 2>/dev/null || echo none; "
                                  "mv a moved; ln -s {1} a",
                                  kind, secrets, up)),
        "none\nnone\nnone\nnone\nnone\n");
  }
  for (const auto& [kind, part] : parts) {
    SCOPED_TRACE(kind);
    // The kubelet has bound the part before its name was changed into a link to ".../secrets".
    const std::string id = Sleeper({{part, "/part"}});
    EXPECT_EQ(
        Output(id, "cat /part/../secret /part/secret 2>/dev/null; touch /part/made; ls /part"),
        "made\n");
  }
  EXPECT_EQ(ListDirectory(secrets).value(), (std::vector<std::string>{"below", "secret"}));
  EXPECT_EQ(ListDirectory(secrets + "/below").value(), std::vector<std::string>{});
}

CATAMARAN_ON_EVERY_HANDLER(SharedVolumes);

}  // namespace
}  // namespace catamaran::e2e
