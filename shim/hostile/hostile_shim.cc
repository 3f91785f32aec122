#include "shim/hostile/hostile_shim.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <thread>

#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/unix_socket.h"
#include "sandbox/protocol/backend_client.h"
#include "sandbox/protocol/unix_channel.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

bool WaitForFile(const fs::path& path) {
  for (const Deadline deadline = Soon(); !deadline.expired();) {
    if (fs::exists(path)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

// The kernel's credentials are a thread's own; the loop and the client are this thread's as well.
std::string Greet(const std::string& path) {
  if (syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0 ||
      syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0)
    return "not another user";
  auto socket = ConnectUnix(path);
  if (!socket) return strerrorname_np(socket.error().system_errno);
  auto loop = EventLoop::Create().value();
  BackendClient client(*loop, MakeUnixChannel(*loop, std::move(*socket)).value());
  std::optional<std::string> outcome;
  auto started = client.Start([&](const Error&) {
    if (!outcome) outcome = "closed";
  });
  if (!started) return started.error().message;
  client.Hello([&](Result<pod::HelloResponse> hello) {
    if (!outcome) outcome = hello ? "answered" : "closed";
  });
  for (const Deadline deadline = Soon(); !outcome && !deadline.expired();)
    if (!loop->RunOnce(std::chrono::milliseconds(20))) break;
  return outcome.value_or("nothing");
}

}  // namespace

void HostileShim::SetUp() {
  NamespaceShimTest::SetUp();
  program_ = folder_ / "catamaran-shim";
  fs::copy_file(CATAMARAN_SHIM, program_);
  manager_ = ShimManager::Create({program_.string()}).value();
  fs::copy_file(CATAMARAN_ATTACKER, folder_ / "image/probe");
  std::ofstream(folder_ / "image/entry") << "#!/proc/self/exe\n";
  ASSERT_EQ(chmod((folder_ / "image/entry").c_str(), 0755), 0);
  fs::create_directories(folder_ / "volume");
}

std::string HostileShim::OverwriteProgram() {
  const std::string before = ReadFile(program_, 1 << 30).value();
  auto spawned = SpawnPod();
  EXPECT_TRUE(spawned) << spawned.error().message;
  pod::CreateContainerRequest request;
  spec::ContainerSpec& container = *request.mutable_container();
  FillContainer(container, "attacker");
  container.mutable_process()->add_args("/probe");
  container.mutable_process()->add_args("overwrite-exe:/volume");
  // Root's, as containers have it: the file's mode is not what stops it.
  container.mutable_process()->mutable_capabilities()->add_bounding("CAP_DAC_OVERRIDE");
  auto* mount = container.add_mounts();
  mount->set_container_path("/volume");
  mount->set_host_path(folder_ / "volume");
  auto created = client_->CreateContainer(request, Soon());
  EXPECT_TRUE(created) << created.error().message;
  EXPECT_TRUE(Start("attacker"));
  pod::ExecRequest exec;
  exec.set_container_id("attacker");
  exec.add_args("/entry");
  int number = 0;
  for (const Deadline deadline = Soon();
       !fs::exists(folder_ / "volume/caught") && !deadline.expired();) {
    exec.set_exec_id("e" + std::to_string(++number));
    auto started = client_->Exec(exec, {}, Soon());
    EXPECT_TRUE(started) << started.error().message;
    if (!started) break;
    events_.ExitOf("attacker", exec.exec_id());
  }
  // What the tenant of a pod can do by its memory: the containers go on.
  KillShim();
  EXPECT_TRUE(WaitForFile(folder_ / "volume/outcome"));
  const std::string outcome = ReadFile(folder_ / "volume/outcome").value_or("");
  EXPECT_EQ(ReadFile(program_, 1 << 30).value() != before, outcome == "ok");
  return outcome;
}

std::string HostileShim::GreetAsAnotherUser(Modes modes) {
  auto spawned = Spawn();
  EXPECT_TRUE(spawned) << spawned.error().message;
  const std::string socket = paths_.socket().string();
  if (modes != Modes::kAsMade) {
    for (const auto& folder : {folder_.string(), paths_.folder.string()})
      EXPECT_EQ(chmod(folder.c_str(), 0755), 0);
  }
  if (modes == Modes::kAllOpen) {
    EXPECT_EQ(chmod(socket.c_str(), 0666), 0);
  }
  std::string outcome;
  std::thread([&] { outcome = Greet(socket); }).join();
  KillShim();
  EXPECT_TRUE(events_.WaitGone());
  events_.Reset();
  return outcome;
}

}  // namespace catamaran
