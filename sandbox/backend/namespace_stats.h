#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/event_loop.h"
#include "sandbox/kernel/netlink.h"
#include "sandbox/kernel/process.h"

namespace catamaran {

// Reads what a sandbox and its containers use. Counters are read at once; writable layers are
// walked in a child, at most every ten seconds, and only the first answer waits for that. Later
// walks begin a while after the answer, another one in each sandbox: whoever asks asks them all.
// What can be known of single processes and of the file systems only, the details, is read by
// another child for each answer; those who ask while it is at work share it.
class StatsReader {
 public:
  struct Source {
    std::string container_id;
    const Cgroup* cgroup;
    std::string writable_layer;
    pid_t process;  // the first one, not reaped; 0 where there is none
  };

  // network_fd: -1 is this process's own namespace.
  StatsReader(EventLoop& loop, std::shared_ptr<const CgroupTree> cgroups, std::string pod_cgroup,
              int network_fd)
      : loop_(loop),
        cgroups_(std::move(cgroups)),
        pod_cgroup_(std::move(pod_cgroup)),
        network_fd_(network_fd) {}

  void Read(const pod::StatsRequest& request, const std::vector<Source>& sources,
            Completion<pod::StatsResponse> done);

 private:
  using Usage = std::map<std::string, spec::FilesystemStats>;

  Status ReadCounters(pod::StatsRequest::Extent extent, const std::vector<Source>& sources,
                      spec::SandboxStats& stats);
  Status ReadPod(spec::SandboxStats& stats);
  void ReadWithUsage(spec::SandboxStats stats, const std::vector<Source>& sources,
                     Completion<pod::StatsResponse> done);
  void AddDetails(std::vector<Source> sources, pod::StatsResponse response,
                  Completion<pod::StatsResponse> done);
  void OnDetails(Result<std::string> report);
  Status ReadInterfaces(spec::SandboxStats& stats);
  void MeasureLater(std::vector<std::pair<std::string, std::string>> folders);
  void Measure(std::vector<std::pair<std::string, std::string>> folders);
  void OnMeasured(Result<std::string> report);
  void Answer(spec::SandboxStats stats, Completion<pod::StatsResponse> done);

  struct Waiting {
    spec::SandboxStats stats;
    Completion<pod::StatsResponse> done;
  };

  EventLoop& loop_;
  std::shared_ptr<const CgroupTree> cgroups_;
  std::string pod_cgroup_;
  int network_fd_;
  std::optional<Cgroup> pod_;  // opened by the first reading
  std::optional<Netlink> netlink_;
  Usage usage_;
  std::chrono::steady_clock::time_point measured_at_{};
  EventLoop::Watch later_;
  std::unique_ptr<ChildTask> measuring_;
  std::vector<Waiting> waiting_;
  std::unique_ptr<ChildTask> detailing_;
  std::vector<std::pair<pod::StatsResponse, Completion<pod::StatsResponse>>> want_details_;
};

}  // namespace catamaran
