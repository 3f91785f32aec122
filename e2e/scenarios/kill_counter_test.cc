// The kill counter: a program aborts at its N-th step, for N = 1, 2, ... until a whole
// life of a pod passes. After each abort the daemon starts anew, everything listed is stopped and
// removed as the kubelet would, and nothing may be left behind.
#include <algorithm>
#include <cstdlib>

#include "e2e/harness/pod_test.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr int kMostSteps = 2000;

// How far one life of a pod came.
enum class Stage { kNothing, kRun, kCreated, kStarted, kStopped, kRemoved };

class KillCounter : public PodTest {
 protected:
  // Every N-th step is tried. Under emulation a VM's life takes seconds, so CI tries some steps
  // and `./dev test --all` every one (CATAMARAN_E2E_EVERY_STEP=1). In the test node all of it is
  // emulated (CATAMARAN_E2E_STRIDE=N).
  int Stride() const {
    if (const char* asked = getenv("CATAMARAN_E2E_STRIDE")) return std::max(1, atoi(asked));
    return !on_vm() || getenv("CATAMARAN_E2E_EVERY_STEP") != nullptr ? 1 : 7;
  }

  static bool IsOfTheGuest(const std::string& program) {
    return program == "agent" || program == "volumes-out" || program == "volumes-in";
  }

  void StartDaemon(const std::string& abort_at) {
    std::vector<std::string> environment;
    std::string guest_command_line;
    // A guest's kernel makes variables of what it does not know.
    if (IsOfTheGuest(abort_at.substr(0, abort_at.find(':')))) {
      guest_command_line = "CATAMARAN_ABORT_AT=" + abort_at;
    } else if (!abort_at.empty()) {
      environment.push_back("CATAMARAN_ABORT_AT=" + abort_at);
    }
    ASSERT_TRUE(world().Configure(guest_command_line));
    auto started = world().RestartDaemon(environment);
    // Only an armed daemon may die while it starts.
    ASSERT_TRUE(started || !abort_at.empty()) << started.error().message;
  }

  // Killed daemons and shims cost no pod its template: those are held by the keeper, which outlives
  // a daemon by ten seconds. Where the daemon came back later than that (a busy machine) there is
  // another keeper, started with the armed environment, which may have died of it: only then a
  // machine may boot, and it counts as asked for. An agent is armed by the guest's command line, on
  // a handler without templates.
  void CountMachine() {
    auto facts = ReadMachineFacts(cri(), pod_);
    if (!facts) return;  // the daemon or the shim has died since
    const bool must_restore =
        world().MustRestore(GetParam()) && keeper_ != 0 && world().TemplateKeeper() == keeper_;
    world().machines().Add(
        "KillCounter", pod_, *facts,
        must_restore ? MachineCount::Boot::kUnasked : MachineCount::Boot::kAskedFor);
  }

  // A pod's whole life, up to the first verb that fails.
  Stage Live(const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest run;
    *run.mutable_config() = config;
    run.set_runtime_handler(GetParam());
    auto ran = cri().RunPodSandbox(run, std::chrono::seconds(240));
    if (!ran.ok()) return Stage::kNothing;
    pod_ = ran->pod_sandbox_id();
    if (on_vm()) CountMachine();
    v1::CreateContainerRequest create;
    create.set_pod_sandbox_id(pod_);
    *create.mutable_sandbox_config() = config;
    *create.mutable_config() = ShellConfig("main", "sleep 10000");
    auto* mount = AddMount(*create.mutable_config(), volume_, "/v");
    if (with_users_) {
      const auto& users = config.linux().security_context().namespace_options().userns_options();
      *mount->mutable_uidmappings() = users.uids();
      *mount->mutable_gidmappings() = users.gids();
    }
    auto created = cri().CreateContainer(create);
    if (!created.ok()) return Stage::kRun;
    container_ = created->container_id();
    v1::StartContainerRequest start;
    start.set_container_id(container_);
    if (!cri().StartContainer(start).ok()) return Stage::kCreated;
    if (!Exec(container_, {"/bin/sh", "-c", "echo x > /v/file; cat /v/file; rm /v/file"}).ok())
      return Stage::kStarted;
    v1::StopContainerRequest stop_container;
    stop_container.set_container_id(container_);
    if (!cri().StopContainer(stop_container).ok()) return Stage::kStarted;
    v1::RemoveContainerRequest remove_container;
    remove_container.set_container_id(container_);
    if (!cri().RemoveContainer(remove_container).ok()) return Stage::kStopped;
    v1::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(pod_);
    if (!cri().StopPodSandbox(stop).ok()) return Stage::kStopped;
    v1::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(pod_);
    if (!cri().RemovePodSandbox(remove).ok()) return Stage::kStopped;
    return Stage::kRemoved;
  }

  // Stops and removes whatever the lists show; every verb must succeed.
  void Converge() {
    auto containers = cri().ListContainers({});
    ASSERT_TRUE(containers.ok()) << containers.message();
    for (const auto& container : containers->containers()) {
      v1::StopContainerRequest stop;
      stop.set_container_id(container.id());
      auto stopped = cri().StopContainer(stop);
      EXPECT_TRUE(stopped.ok()) << stopped.message();
      v1::RemoveContainerRequest remove;
      remove.set_container_id(container.id());
      auto removed = cri().RemoveContainer(remove);
      EXPECT_TRUE(removed.ok()) << removed.message();
    }
    auto pods = cri().ListPodSandbox({});
    ASSERT_TRUE(pods.ok()) << pods.message();
    for (const auto& pod : pods->items()) StopAndRemovePod(pod.id());
    EXPECT_EQ(cri().ListPodSandbox({})->items_size(), 0);
    EXPECT_EQ(cri().ListContainers({})->containers_size(), 0);
  }

  void ExpectAsBefore(const Snapshot& before) {
    const auto left = DifferencesAfterSettling(
        before,
        [this] {
          Snapshot now = world().TakeSnapshot();
          now.kinds.erase("descriptors of the daemon");  // another process
          return now;
        },
        std::chrono::seconds(20));
    for (const std::string& line : left) ADD_FAILURE() << "leak: " << line;
  }

  static void GiveUsers(v1::PodSandboxConfig& config) {
    auto* users = config.mutable_linux()
                      ->mutable_security_context()
                      ->mutable_namespace_options()
                      ->mutable_userns_options();
    users->set_mode(v1::POD);
    for (auto* range : {users->add_uids(), users->add_gids()}) {
      range->set_host_id(1'000'000);
      range->set_length(65536);
    }
  }

  // How often the daemon's log says that a volume server was killed and followed by another.
  size_t VolumeServersReplaced() {
    const auto log = ReadFile(world().daemon().log_file(), 64 << 20);
    size_t count = 0;
    for (size_t at = 0; log && (at = log->find("another one serves on", at)) != std::string::npos;
         ++at)
      ++count;
    return count;
  }

  // The pump's death shows nowhere on the host; that it comes at each of its steps, and what the
  // guest's programs notice, is tried where server and pump are on one kernel
  // (vm-backend/volumes/volume_abort_test.cc).
  void KillAtSomeStepsOfThePump(const std::string& half) {
    volume_ = world().NewFolder("volume");
    StartDaemon("");
    const Snapshot before = world().TakeSnapshot();
    for (const int step : {1, 3, 6, 12, 24}) {
      SCOPED_TRACE(half + ":" + std::to_string(step));
      StartDaemon(half + ":" + std::to_string(step));
      // As the kubelet does, until it works: one request may have failed.
      Stage stage = Stage::kNothing;
      for (int tries = 0; tries < 3 && stage != Stage::kRemoved; ++tries) {
        if (tries > 0) Converge();
        stage = Live(PodConfig("killed"));
      }
      EXPECT_EQ(stage, Stage::kRemoved);
      StartDaemon("");
      Converge();
      ExpectAsBefore(before);
      if (HasFailure()) return;
    }
  }

  void KillAtEveryStepOf(const std::string& program, bool with_users = false) {
    with_users_ = with_users;
    volume_ = world().NewFolder("volume");
    StartDaemon("");
    const Snapshot before = world().TakeSnapshot();
    int aborts = 0;
    for (int step = 1; step < kMostSteps; step += Stride()) {
      SCOPED_TRACE(program + ":" + std::to_string(step));
      keeper_ = world().TemplateKeeper();
      const size_t replaced = VolumeServersReplaced();
      StartDaemon(program + ":" + std::to_string(step));
      Stage stage = Stage::kNothing;
      auto config = PodConfig("killed");
      if (with_users_) GiveUsers(config);
      if (world().daemon().running()) stage = Live(config);
      const bool daemon_lived = world().daemon().running();
      StartDaemon("");  // another one, which aborts nowhere
      if (program == "daemon" && !daemon_lived && stage == Stage::kStarted) {
        // What runs is listed as what it is; the verb that was cut off may or may not have
        // happened.
        v1::ContainerStatusRequest request;
        request.set_container_id(container_);
        auto status = cri().ContainerStatus(request);
        EXPECT_TRUE(status.ok()) << status.message();
      }
      Converge();
      ExpectAsBefore(before);
      if (HasFailure()) return;
      const bool server_lived = VolumeServersReplaced() == replaced;
      if (stage == Stage::kRemoved && daemon_lived && server_lived) {
        printf("%s on %s: a pod's life has fewer than %d steps; %d aborts converged\n",
               program.c_str(), GetParam().c_str(), step, aborts);
        EXPECT_GT(aborts, 3) << "the counter never fired: is CATAMARAN_ABORT_AT honoured?";
        return;
      }
      ++aborts;
    }
    FAIL() << "no life of a pod completed within " << kMostSteps << " steps";
  }

 private:
  std::string pod_, container_, volume_;
  bool with_users_ = false;
  pid_t keeper_ = 0;  // before the armed daemon started
};

TEST_P(KillCounter, ConvergesAfterTheDaemonDiesAtAnyStep) { KillAtEveryStepOf("daemon"); }

TEST_P(KillCounter, ConvergesAfterTheShimDiesAtAnyStep) { KillAtEveryStepOf("shim"); }

TEST_P(KillCounter, ConvergesAfterTheDaemonDiesAtAnyStepOfAPodWithUsers) {
  if (on_vm()) GTEST_SKIP() << "a VM refuses them";
  KillAtEveryStepOf("daemon", /*with_users=*/true);
}

TEST_P(KillCounter, ConvergesAfterTheShimDiesAtAnyStepOfAPodWithUsers) {
  if (on_vm()) GTEST_SKIP() << "a VM refuses them";
  KillAtEveryStepOf("shim", /*with_users=*/true);
}

TEST_P(KillCounter, ConvergesAfterTheAgentDiesAtAnyStep) {
  if (!on_vm()) GTEST_SKIP() << "the ns hull has no agent";
  KillAtEveryStepOf("agent");
}

TEST_P(KillCounter, ConvergesAfterTheVolumeServerDiesAtAnyStep) {
  if (!on_vm()) GTEST_SKIP() << "the ns hull has none";
  KillAtEveryStepOf("volumes");
}

TEST_P(KillCounter, ConvergesAfterTheVolumePumpDies) {
  if (!on_vm()) GTEST_SKIP() << "the ns hull has none";
  KillAtSomeStepsOfThePump("volumes-out");
  if (!HasFailure()) KillAtSomeStepsOfThePump("volumes-in");
}

TEST_P(KillCounter, AnImageIsWholeOrAbsentWhereverTheDaemonDies) {
  if (on_vm()) GTEST_SKIP() << "images belong to no hull";
  auto image = BusyboxImage("docker.io/library/killed:1");
  ASSERT_TRUE(image);
  image->layers.push_back({{"file", "x"}});
  image->layers.push_back({{"other", "y"}});
  const std::string folder = world().NewFolder("layout");
  ASSERT_TRUE(WriteOciLayout(folder, {*image}));
  v1::ImageStatusRequest status;
  status.mutable_image()->set_image(image->name);
  v1::RemoveImageRequest remove;
  remove.mutable_image()->set_image(image->name);
  StartDaemon("");
  const Snapshot before = world().TakeSnapshot();
  for (int step = 1; step < kMostSteps; ++step) {
    SCOPED_TRACE("daemon:" + std::to_string(step));
    StartDaemon("daemon:" + std::to_string(step));
    bool loaded = false;
    if (world().daemon().running()) loaded = world().LoadImage(folder).exit_code == 0;
    bool removed = loaded && cri().RemoveImage(remove).ok();
    const bool daemon_lived = world().daemon().running();
    StartDaemon("");
    auto found = cri().ImageStatus(status);
    ASSERT_TRUE(found.ok()) << found.message();
    if (found->has_image()) {
      EXPECT_FALSE(removed);
      auto gone = cri().RemoveImage(remove);
      EXPECT_TRUE(gone.ok()) << gone.message();
    }
    ExpectAsBefore(before);
    if (HasFailure()) return;
    if (removed && daemon_lived) {
      EXPECT_GT(step, 3) << "the counter never fired";
      return;
    }
  }
  FAIL() << "no load completed";
}

CATAMARAN_ON_EVERY_HANDLER(KillCounter);

}  // namespace
}  // namespace catamaran::e2e
