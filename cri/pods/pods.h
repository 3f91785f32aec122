#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cri/apparmor/apparmor.h"
#include "cri/base/notice.h"
#include "cri/config/config.h"
#include "cri/images/image_store.h"
#include "cri/network/pod_network.h"
#include "cri/pods/background.h"
#include "cri/pods/container_events.h"
#include "cri/pods/machine_pool.h"
#include "cri/pods/name_table.h"
#include "cri/pods/pod.h"
#include "cri/pods/pod_cgroups.h"
#include "cri/pods/pod_table.h"
#include "cri/pods/record_store.h"
#include "cri/service/call_context.h"
#include "cri/telemetry/meters.h"
#include "shim/client/shim_client.h"

namespace catamaran {

class NriPlugins;  // cri/nri/nri_plugins.h

// What pods are made with. Everything is thread-safe and outlives the Pods; the shim manager is
// the Pods' own, because its threads call back into it.
struct PodsParts {
  std::unique_ptr<ShimManager> shims;
  ImageStore& images;
  PodNetwork& network;
  PodCgroups& cgroups;
  // Told what no caller hears of: a pod lost, a left-over swept. From any thread. May be empty.
  Notice notice;
  std::shared_ptr<Meters> meters = std::make_shared<Meters>();
};

// The pods and containers of this node: what the functions of operations.h work on. Destroying it
// leaves all pods running, and ends the machines that wait for one. Thread-safe.
class Pods {
 public:
  Pods(Config config, PodsParts parts, std::string boot_id);
  ~Pods();
  Pods(const Pods&) = delete;
  Pods& operator=(const Pods&) = delete;

  // Makes the folders and the cgroup that all pods are in, where they are missing, and takes over
  // from the daemon before: reads the records, reconnects the shims, ends what is half
  // made, half removed or lost, sweeps what no record owns. Once, before the first operation.
  // Returns when the lists tell the truth; a shim that lives but does not answer is waited for in
  // the background, its containers UNKNOWN.
  Status Recover(Deadline deadline);

  const Config& config() const { return config_; }
  ShimManager& shims() { return *parts_.shims; }
  ImageStore& images() { return parts_.images; }
  PodNetwork& network() { return parts_.network; }
  PodCgroups& cgroups() { return parts_.cgroups; }
  const RecordStore& records() const { return records_; }
  PodTable& table() { return table_; }
  NameTable& pod_names() { return pod_names_; }
  NameTable& container_names() { return container_names_; }
  Background& background() { return background_; }
  MachinePool& pool() { return pool_; }
  ContainerEvents& events() { return events_; }
  // Tells nobody anything before its Start, which is for after Recover.
  NriPlugins& nri() { return *nri_; }
  AppArmor& apparmor() { return apparmor_; }
  Meters& meters() { return *parts_.meters; }
  void Notice(const std::string& text) const { Notice({}, text); }
  void Notice(const About& about, const std::string& text) const {
    if (parts_.notice) parts_.notice(about, text);
  }

  // kInvalidArgument naming the handlers there are.
  Result<const HandlerConfig*> FindHandler(const std::string& runtime_handler) const;

  // Sees to it that shims of VMs find a template keeper; where they do not they boot, and a notice
  // says why.
  void KeepTemplates();

  // An empty object of a new pod with this id: paths only.
  std::shared_ptr<Pod> NewPod(const PodId& id);

  // Every few seconds: tries again what could not be undone, and reconnects shims that did not
  // answer. Begun by Recover.
  void StartJanitor();

 private:
  void RunJanitor();

  const Config config_;
  PodsParts parts_;
  const RecordStore records_;
  ContainerEvents events_;
  AppArmor apparmor_;
  PodTable table_;
  NameTable pod_names_;
  NameTable container_names_;
  Background background_;
  MachinePool pool_{*this};
  const std::unique_ptr<NriPlugins> nri_;
  std::mutex janitor_mutex_;
  std::condition_variable janitor_wake_;
  bool stopping_ = false;  // guarded by janitor_mutex_
  std::thread janitor_;
};

}  // namespace catamaran
