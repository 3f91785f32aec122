// Streaming sessions by the thousand, and clients that do not read. What a session carries is tried
// with Kubernetes' own clients (../kubelet-client).
#include <sys/socket.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "e2e/harness/pod_test.h"
#include "e2e/harness/processes.h"
#include "e2e/harness/streaming_client.h"

namespace catamaran::e2e {
namespace {

constexpr char kExecProtocol[] = "v4.channel.k8s.io";

// What a process holds.
struct Held {
  long descriptors = 0, threads = 0, kilobytes = 0;  // of anonymous memory
};

long CountIn(const std::string& folder) {
  std::error_code error;
  return std::distance(std::filesystem::directory_iterator(folder, error), {});
}

Held HeldBy(pid_t process) {
  const std::string folder = "/proc/" + std::to_string(process);
  Held held{CountIn(folder + "/fd"), CountIn(folder + "/task"), 0};
  std::ifstream status(folder + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) held.kilobytes = std::stol(line.substr(8));
  return held;
}

class Streaming : public PodTest {
 protected:
  std::string ExecUrl(const std::string& container, const std::vector<std::string>& command,
                      bool terminal = false) {
    v1::ExecRequest request;
    request.set_container_id(container);
    for (const auto& word : command) request.add_cmd(word);
    request.set_stdout(true);
    request.set_stdin(terminal);
    request.set_tty(terminal);
    const auto reply = cri().Exec(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply->url();
  }
  std::string AttachUrl(const std::string& container) {
    v1::AttachRequest request;
    request.set_container_id(container);
    request.set_stdout(true);
    const auto reply = cri().Attach(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply->url();
  }
  std::string ForwardUrl(const std::string& pod) {
    v1::PortForwardRequest request;
    request.set_pod_sandbox_id(pod);
    const auto reply = cri().PortForward(request);
    EXPECT_TRUE(reply.ok()) << reply.message();
    return reply->url();
  }
  static uint32_t OpenStream(StreamingClient& client, const SpdyHeaders& headers) {
    const auto stream = client.OpenStream(headers);
    EXPECT_TRUE(stream) << stream.error().message;
    return stream.value_or(0);
  }
  static std::optional<StreamingClient> Connect(const std::string& url,
                                                const std::string& protocol = kExecProtocol) {
    auto client = StreamingClient::Open(url, protocol);
    EXPECT_TRUE(client) << client.error().message;
    if (!client) return std::nullopt;
    return std::move(*client);
  }

  // CVE-2022-23471: a terminal whose program is not there, and its size.
  void ExecOfAMissingProgram(const std::string& container) {
    auto client = Connect(ExecUrl(container, {"/bin/no-such-program"}, true));
    ASSERT_TRUE(client);
    const uint32_t status = OpenStream(*client, {{"streamtype", "error"}});
    for (const char* type : {"stdin", "stdout", "resize"})
      OpenStream(*client, {{"streamtype", type}});
    EXPECT_TRUE(client->ReadRest());
    EXPECT_NE(client->text(status).find("no-such-program"), std::string::npos)
        << client->text(status);
  }
  // CVE-2025-64329: a client that attaches and leaves.
  void AttachAndDetach(const std::string& container) {
    auto client = Connect(AttachUrl(container));
    ASSERT_TRUE(client);
    OpenStream(*client, {{"streamtype", "error"}});
    OpenStream(*client, {{"streamtype", "stdout"}});
  }
  void ExecToTheEnd(const std::string& container) {
    auto client = Connect(ExecUrl(container, {"/bin/echo", "done"}));
    ASSERT_TRUE(client);
    OpenStream(*client, {{"streamtype", "error"}});
    const uint32_t out = OpenStream(*client, {{"streamtype", "stdout"}});
    EXPECT_TRUE(client->ReadRest());
    EXPECT_EQ(client->text(out), "done\n");
  }
  void ForwardToAClosedPort(const std::string& pod) {
    auto client = Connect(ForwardUrl(pod), "portforward.k8s.io");
    ASSERT_TRUE(client);
    SpdyHeaders headers{{"port", "9"}, {"requestid", "0"}, {"streamtype", "error"}};
    const uint32_t error = OpenStream(*client, headers);
    headers["streamtype"] = "data";
    OpenStream(*client, headers);
    EXPECT_TRUE(client->ReadToEnd(error));
    EXPECT_GT(client->count(error), 0u);
  }
  void OneOfEach(const std::string& pod, const std::string& container) {
    ExecOfAMissingProgram(container);
    AttachAndDetach(container);
    ExecToTheEnd(container);
    ForwardToAClosedPort(pod);
  }

  // Holds no more than before, apart from what `sessions` may leave in an allocator's pools.
  static void ExpectNoGrowth(const std::string& what, pid_t process, const Held& before,
                             int sessions) {
    Held now;
    EXPECT_TRUE(WaitUntil([&] {
      now = HeldBy(process);
      return now.descriptors <= before.descriptors + 8 && now.threads <= before.threads + 4;
    })) << what
        << " holds " << now.descriptors << " descriptors and " << now.threads << " threads; before "
        << before.descriptors << " and " << before.threads;
    EXPECT_LE(now.kilobytes, before.kilobytes + 4096 + 2L * sessions)
        << what << ": kilobytes, before " << before.kilobytes;
    printf("%s after %d sessions: %ld descriptors (%ld before), %ld threads (%ld), %ld kB (%ld)\n",
           what.c_str(), sessions, now.descriptors, before.descriptors, now.threads, before.threads,
           now.kilobytes, before.kilobytes);
  }
};

TEST_P(Streaming, SessionsOneAfterAnotherLeaveNothingBehind) {
  const std::string pod = RunPod(), container = StartSleeper(pod);
  const pid_t daemon = world().daemon().pid(), shim = FindPodProcess(pod, "catamaran-shim");
  ASSERT_GT(shim, 0);
  for (int i = 0; i < 10; ++i) OneOfEach(pod, container);
  const Held daemon_before = HeldBy(daemon), shim_before = HeldBy(shim);
  // Four sessions a round; a busy machine does fewer.
  const int least = on_vm() ? 10 : 100, most = on_vm() ? 100 : 600;
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int rounds = 0;
  while (rounds < least || (rounds < most && std::chrono::steady_clock::now() < enough)) {
    OneOfEach(pod, container);
    if (HasFatalFailure()) return;
    ++rounds;
  }
  ExpectNoGrowth("the daemon", daemon, daemon_before, 4 * rounds);
  ExpectNoGrowth("the shim", shim, shim_before, 4 * rounds);
}

// Three that read a little and then nothing: an exec, a forwarded port, an attached output.
TEST_P(Streaming, AClientThatDoesNotReadHoldsUpNobody) {
  const std::string pod = RunPod();
  auto config =
      ShellConfig("main",
                  "nc -ll -p 8080 -e /bin/cat /dev/zero & read go; "
                  "dd if=/dev/zero bs=64k count=256 2>/dev/null; echo; echo went on; sleep 1000");
  config.set_stdin(true);
  const std::string container = CreateAndStart(pod, config);
  ASSERT_TRUE(WaitUntil([&] {
    const auto ports = Exec(container, {"/bin/netstat", "-ltn"});
    return ports.ok() && ports->stdout().find(":8080") != std::string::npos;
  }));

  auto exec = Connect(ExecUrl(container, {"/bin/cat", "/dev/zero"}));
  ASSERT_TRUE(exec);
  OpenStream(*exec, {{"streamtype", "error"}});
  const uint32_t exec_out = OpenStream(*exec, {{"streamtype", "stdout"}});
  EXPECT_TRUE(exec->ReadUntil([&] { return exec->count(exec_out) > 0; }));

  auto forward = Connect(ForwardUrl(pod), "portforward.k8s.io");
  ASSERT_TRUE(forward);
  SpdyHeaders headers{{"port", "8080"}, {"requestid", "0"}, {"streamtype", "error"}};
  OpenStream(*forward, headers);
  headers["streamtype"] = "data";
  const uint32_t data = OpenStream(*forward, headers);
  EXPECT_TRUE(forward->ReadUntil([&] { return forward->count(data) > 0; }));

  auto attach = Connect(AttachUrl(container));
  ASSERT_TRUE(attach);
  OpenStream(*attach, {{"streamtype", "error"}});
  OpenStream(*attach, {{"streamtype", "stdout"}});
  v1::AttachRequest typing;
  typing.set_container_id(container);
  typing.set_stdin(true);
  const auto keyboard_url = cri().Attach(typing);
  ASSERT_TRUE(keyboard_url.ok()) << keyboard_url.message();
  auto keyboard = Connect(keyboard_url->url());
  ASSERT_TRUE(keyboard);
  OpenStream(*keyboard, {{"streamtype", "error"}});
  EXPECT_TRUE(keyboard->Send(OpenStream(*keyboard, {{"streamtype", "stdin"}}), "go\n"));

  // The container goes on, and so does whoever else wants something of it, of its pod and of
  // others.
  EXPECT_TRUE(WaitUntil([&] {
    return TextOf(Log(container), "stdout").find("went on") != std::string::npos;
  })) << "its client, attached, holds it up";
  for (int i = 0; i < 3; ++i) {
    ExecToTheEnd(container);
    ForwardToAClosedPort(pod);
  }
  EXPECT_EQ(Output(container, "echo also"), "also\n");
  const std::string other = RunPod();
  ExecToTheEnd(StartSleeper(other, "other"));
}

CATAMARAN_ON_EVERY_HANDLER(Streaming);

}  // namespace
}  // namespace catamaran::e2e
