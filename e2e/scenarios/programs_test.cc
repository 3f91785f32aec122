// On the path of a pod the only programs that run are our own, the VMM, and nft for host ports.
#include <algorithm>

#include "e2e/harness/executed_programs.h"
#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

constexpr char kNft[] = "/usr/sbin/nft", kQemu[] = "/usr/bin/qemu-system-x86_64";

class Programs : public PodTest {
 protected:
  static bool IsAmong(const std::vector<ExecutedProgram>& programs, const std::string& path) {
    return std::any_of(programs.begin(), programs.end(),
                       [&](const ExecutedProgram& program) { return program.Is(path); });
  }
};

TEST_P(Programs, APodNeedsOnlyOurOwnTheHypervisorAndNftForHostPorts) {
  auto watched = ExecutedPrograms::Watch();
  ASSERT_TRUE(watched) << watched.error().message;
  // The watch itself works.
  ASSERT_EQ(RunProgram({"/bin/true"}).exit_code, 0);
  auto seen = watched->Take();
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_TRUE(IsAmong(*seen, "/bin/true"));

  auto config = PodConfig();
  auto* port = config.add_port_mappings();
  port->set_protocol(v1::TCP);
  port->set_container_port(8080);
  port->set_host_port(18081);
  const std::string folder = world().NewFolder("volume");
  const std::string pod = RunPod(config);
  auto container = ShellConfig("main", "sleep 1000");
  auto* mount = container.add_mounts();
  mount->set_host_path(folder);
  mount->set_container_path("/v");
  const std::string id = CreateAndStart(pod, container);
  EXPECT_EQ(Output(id, "echo well"), "well\n");
  v1::ReopenContainerLogRequest reopen;
  reopen.set_container_id(id);
  EXPECT_TRUE(cri().ReopenContainerLog(reopen).ok());
  StopAndRemovePod(pod);

  seen = watched->Take();
  ASSERT_TRUE(seen) << seen.error().message;
  std::vector<std::string> known = {ProgramFolder() + "/catamaran",
                                    ProgramFolder() + "/catamaran-shim", kNft,
                                    "/lib64/ld-linux-x86-64.so.2"};
  if (on_vm()) known.emplace_back(kQemu);
  for (const ExecutedProgram& program : *seen) {
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const std::string& path) { return program.Is(path); });
    EXPECT_TRUE(is_known) << program.path << " was run";
  }
  EXPECT_TRUE(IsAmong(*seen, kNft)) << "host ports are nft's";
  EXPECT_EQ(IsAmong(*seen, kQemu), on_vm());
}

CATAMARAN_ON_EVERY_HANDLER(Programs);

}  // namespace
}  // namespace catamaran::e2e
