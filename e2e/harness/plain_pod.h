#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "e2e/harness/cri_client.h"
#include "sandbox/base/result.h"

namespace catamaran::e2e {

// One pod with one container through a CRI client, as the demo and the benchmark need it: Results
// instead of test failures. The destructor removes what was made.
class PlainPod {
 public:
  struct Options {
    std::string handler;
    std::string name;
    std::string image;
    std::vector<std::string> command;
    std::string log_directory;
    // Called with the pod's configuration before it is used; may be empty.
    std::function<void(v1::PodSandboxConfig*)> adjust;
    std::function<void(v1::ContainerConfig*)> adjust_container;  // may be empty
  };
  PlainPod(CriClient& cri, Options options) : cri_(cri), options_(std::move(options)) {}
  PlainPod(const PlainPod&) = delete;
  PlainPod& operator=(const PlainPod&) = delete;
  ~PlainPod() { (void)StopAndRemove(); }

  // The three stages of a pod's start, in this order.
  Status Run();
  Status Create();
  Status Start();
  Status StopAndRemove();
  // Returns once the container has ended; kDeadlineExceeded where it does not.
  Status WaitForEnd(std::chrono::seconds limit);

  // Standard output of a command in the container; an error where it exits with another code than
  // 0.
  Result<std::string> Output(const std::vector<std::string>& command);
  Result<v1::PodSandboxStatusResponse> VerboseStatus();
  Result<v1::PodSandboxStats> Stats();

  const std::string& id() const { return pod_id_; }
  const std::string& container_id() const { return container_id_; }
  const Options& options() const { return options_; }
  std::string log_file() const { return options_.log_directory + "/main.log"; }

 private:
  CriClient& cri_;
  Options options_;
  v1::PodSandboxConfig config_;
  std::string pod_id_, container_id_;
};

}  // namespace catamaran::e2e
