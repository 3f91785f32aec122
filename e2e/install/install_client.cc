// What the checks of an installation ask of a daemon by the CRI, as a program that can be copied
// into the system under test: install_client SOCKET VERB ... See Usage().
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>

#include "e2e/harness/plain_pod.h"
#include "e2e/harness/test_image.h"
#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

constexpr char kBusybox[] = "docker.io/library/busybox:1";
// A machine may have to boot, emulated.
constexpr std::chrono::seconds kJobLimit{600};

int Usage() {
  fmt::print(stderr,
             "usage: install_client SOCKET VERB\n"
             "  image FOLDER                       write an OCI layout of Debian's busybox\n"
             "  version                            of the daemon\n"
             "  run NAME HANDLER LOGS              start a pod that sleeps: POD CONTAINER\n"
             "  run-on-host NAME HANDLER LOGS      the same on the host's network\n"
             "  exec CONTAINER WORD...             what a command in it prints\n"
             "  pods                               the ids of those that run\n"
             "  remove POD                         stop and remove it\n"
             "  job IMAGE FOLDER LOGS WORD...      run this image with these arguments and FOLDER\n"
             "                                     at /host, to its end; prints what it said\n");
  return 2;
}

int Failed(const Error& error) {
  fmt::print(stderr, "install_client: {}\n", error.message);
  return 1;
}

template <typename Response>
int Ended(const Reply<Response>& reply) {
  return reply.ok() ? 0 : Failed(reply.error);
}

int WriteImage(const std::string& folder) {
  const auto image = BusyboxImage(kBusybox);
  if (!image) return Failed(image.error());
  const Status written = WriteOciLayout(folder, {*image});
  return written ? 0 : Failed(written.error());
}

int PrintVersion(CriClient& cri) {
  const auto reply = cri.Version({});
  if (reply.ok()) fmt::print("{}\n", reply->runtime_version());
  return Ended(reply);
}

Status Start(PlainPod& pod) {
  RETURN_IF_ERROR(MakeDirectories(pod.options().log_directory));
  RETURN_IF_ERROR(pod.Run());
  RETURN_IF_ERROR(pod.Create());
  return pod.Start();
}

int RunPod(CriClient& cri, v1::NamespaceMode network, const std::string& name,
           const std::string& handler, const std::string& logs) {
  // Never destroyed where it runs: the pod is to outlive this program.
  auto pod = std::make_unique<PlainPod>(
      cri, PlainPod::Options{.handler = handler,
                             .name = name,
                             .image = kBusybox,
                             .command = {"/bin/sleep", "100000"},
                             .log_directory = logs,
                             .adjust = [network](v1::PodSandboxConfig* config) {
                               config->mutable_linux()
                                   ->mutable_security_context()
                                   ->mutable_namespace_options()
                                   ->set_network(network);
                             }});
  const Status started = Start(*pod);
  if (!started) return Failed(started.error());
  fmt::print("{} {}\n", pod->id(), pod->container_id());
  (void)pod.release();
  return 0;
}

int Exec(CriClient& cri, const std::string& container, const std::vector<std::string>& words) {
  v1::ExecSyncRequest request;
  request.set_container_id(container);
  for (const std::string& word : words) request.add_cmd(word);
  request.set_timeout(60);
  const auto reply = cri.ExecSync(request);
  if (!reply.ok()) return Failed(reply.error);
  fmt::print("{}", reply->stdout());
  fmt::print(stderr, "{}", reply->stderr());
  return reply->exit_code();
}

int PrintPods(CriClient& cri) {
  v1::ListPodSandboxRequest request;
  request.mutable_filter()->mutable_state()->set_state(v1::SANDBOX_READY);
  const auto reply = cri.ListPodSandbox(request);
  if (!reply.ok()) return Failed(reply.error);
  for (const auto& pod : reply->items()) fmt::print("{}\n", pod.id());
  return 0;
}

int Remove(CriClient& cri, const std::string& pod) {
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(pod);
  const auto stopped = cri.StopPodSandbox(stop);
  if (!stopped.ok()) return Failed(stopped.error);
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(pod);
  return Ended(cri.RemovePodSandbox(remove));
}

int RunJob(CriClient& cri, const std::string& image, const std::string& folder,
           const std::string& logs, const std::vector<std::string>& words) {
  PlainPod pod(cri, {.handler = "ns",
                     .name = "job",
                     .image = image,
                     .log_directory = logs,
                     .adjust_container = [&](v1::ContainerConfig* config) {
                       for (const std::string& word : words) config->add_args(word);
                       v1::Mount* mount = config->add_mounts();
                       mount->set_host_path(folder);
                       mount->set_container_path("/host");
                     }});
  Status ended = Start(pod);
  if (ended) ended = pod.WaitForEnd(kJobLimit);
  if (!ended) return Failed(ended.error());
  fmt::print("{}", ReadFile(pod.log_file()).value_or(""));
  v1::ContainerStatusRequest request;
  request.set_container_id(pod.container_id());
  const auto status = cri.ContainerStatus(request);
  return status.ok() ? status->status().exit_code() : Failed(status.error);
}

int Main(const std::vector<std::string>& words) {
  if (words.size() < 2) return Usage();
  const std::string& verb = words[1];
  const auto from = [&](size_t first) {
    return std::vector<std::string>(words.begin() + first, words.end());
  };
  if (verb == "image" && words.size() == 3) return WriteImage(words[2]);
  CriClient cri("unix://" + words[0]);
  if (verb == "version") return PrintVersion(cri);
  if ((verb == "run" || verb == "run-on-host") && words.size() == 5)
    return RunPod(cri, verb == "run" ? v1::POD : v1::NODE, words[2], words[3], words[4]);
  if (verb == "exec" && words.size() > 3) return Exec(cri, words[2], from(3));
  if (verb == "pods") return PrintPods(cri);
  if (verb == "remove" && words.size() == 3) return Remove(cri, words[2]);
  if (verb == "job" && words.size() > 5) return RunJob(cri, words[2], words[3], words[4], from(5));
  return Usage();
}

}  // namespace
}  // namespace catamaran::e2e

int main(int argc, char** argv) { return catamaran::e2e::Main({argv + 1, argv + argc}); }
