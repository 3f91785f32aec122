// catamaran-shim --pod-id ID --folder DIR --backend ns|vm|fake --cgroup PATH
// catamaran-shim keep-templates --root DIR
// catamaran-shim probe --of host|ns|vm ...
// catamaran-shim network-namespace UID_MAP GID_MAP
// catamaran-shim left-hooks STATE_DIRECTORY SECONDS
//
// One pod's shim, started by the daemon with its listening socket as descriptor 3 and its lock as
// descriptor 4. It serves the pod protocol until it is told to shut down and lives on when the
// daemon dies. Single-threaded: the engine in it clones into namespaces.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>

#include "sandbox/base/abort_step.h"
#include "sandbox/base/files.h"
#include "sandbox/kernel/cgroup.h"
#include "shim/backend_factory.h"
#include "shim/client/shim_lock.h"
#include "shim/client/shim_spawn.h"
#include "shim/left_hooks_command.h"
#include "shim/network_namespace_command.h"
#include "shim/probe_command.h"
#include "shim/shim_server.h"
#include "shim/template_keeper_process.h"

namespace catamaran {
namespace {

struct Arguments {
  std::string pod_id, folder, backend, cgroup;
};

Result<Arguments> ParseArguments(int argc, char** argv) {
  Arguments arguments;
  const std::map<std::string, std::string*> known = {{"--pod-id", &arguments.pod_id},
                                                     {"--folder", &arguments.folder},
                                                     {"--backend", &arguments.backend},
                                                     {"--cgroup", &arguments.cgroup}};
  for (int i = 1; i < argc; i += 2) {
    const auto found = known.find(argv[i]);
    if (found == known.end() || i + 1 == argc)
      return Fail(ErrorCode::kInvalidArgument, "unknown or incomplete argument {}", argv[i]);
    *found->second = argv[i + 1];
  }
  if (arguments.folder.empty() || arguments.backend.empty())
    return Fail(ErrorCode::kInvalidArgument, "--folder and --backend are needed");
  return arguments;
}

// The pod's leaf: limits of the pod hold for the shim too, and killing the pod's group ends it.
Status JoinCgroup(const std::string& pod_group) {
  if (pod_group.empty()) return {};
  ASSIGN_OR_RETURN(auto tree, CgroupTree::Open());
  ASSIGN_OR_RETURN(auto leaf, tree->Create(pod_group + "/shim"));
  AbortStep();
  RETURN_IF_ERROR(leaf.Attach(0));
  AbortStep();
  return {};
}

// A handler, not SIG_IGN: what is ignored stays ignored in the programs of containers.
void SurviveBrokenPipes() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGPIPE, &action, nullptr);
}

Status Serve(const Arguments& arguments) {
  RETURN_IF_ERROR(JoinCgroup(arguments.cgroup));
  const ShimPaths paths{HostPath(arguments.folder)};
  ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  ASSIGN_OR_RETURN(auto backend, MakeBackend(arguments.backend, *loop));
  ASSIGN_OR_RETURN(auto journal, ExitJournal::Create(paths.journal().string()));
  PodShim pod(*loop, std::move(backend), std::move(journal));
  ShimServer server(*loop, pod, UniqueFd(kShimListenerFd), "catamaran-shim 1");
  RETURN_IF_ERROR(server.Start());
  return loop->Run();
}

Status Main(int argc, char** argv) {
  // No shim: it holds no pod, no lock and no socket.
  if (argc > 1 && argv[1] == std::string_view("probe")) return RunProbeCommand(argc, argv);
  if (argc > 1 && argv[1] == std::string_view("network-namespace"))
    return RunNetworkNamespaceCommand(argc, argv);
  if (argc > 1 && argv[1] == std::string_view("left-hooks")) return RunLeftHooksCommand(argc, argv);
  InitAbortSteps("shim");
  prctl(PR_SET_NAME, "catamaran-shim");
  setsid();
  close_range(kShimLockFd + 1, ~0u, 0);
  SurviveBrokenPipes();
  // Before anything else can fail: from here on the shim's death is seen, whatever it was doing.
  RETURN_IF_ERROR(TakeOverLock(kShimLockFd));
  for (const int fd : {kShimListenerFd, kShimLockFd})
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return FailWithErrno("close-on-exec");
  AbortStep();
  if (argc == 4 && argv[1] == std::string_view("keep-templates") &&
      argv[2] == std::string_view("--root"))
    return RunTemplateKeeper(argv[3]);
  ASSIGN_OR_RETURN(const Arguments arguments, ParseArguments(argc, argv));
  auto served = Serve(arguments);
  // The daemon reads it where it finds that this shim never answered.
  if (!served)
    (void)ReplaceFile(arguments.folder + "/" + kShimErrorFile, served.error().message, 0600,
                      Durability::kProcessCrash);
  return served;
}

}  // namespace
}  // namespace catamaran

int main(int argc, char** argv) {
  const auto status = catamaran::Main(argc, argv);
  if (status) return 0;
  fprintf(stderr, "catamaran-shim: %s\n", status.error().message.c_str());
  return 1;
}
