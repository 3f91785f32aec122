#pragma once

#include <memory>
#include <string>

#include "cri/pods/pods.h"
#include "cri/pods/shim_link.h"

namespace catamaran {

// A process that was started in a running container beside its own: of ExecSync and of Exec. It
// keeps neither the pod's folders nor its shim: a pod may go while somebody still holds this.
class Execution {
 public:
  // stdio is given away. Where the shim does not answer in time the process is killed, should there
  // be one.
  static Result<Execution> Start(const PodTable::Member& member, const PodInUse& in_use,
                                 pod::ExecRequest request, Stdio stdio, Deadline deadline);
  Execution(Execution&&) = default;
  Execution& operator=(Execution&&) = default;
  ~Execution();

  // Readable once the process has ended, or its shim.
  int ended_fd() const { return wait_->finished.get(); }
  // After that. kUnavailable where the shim went first.
  Result<spec::ExitStatus> Exit() const;
  // One that has ended is success. kUnavailable where the shim is gone.
  Status Signal(int signal, Deadline deadline) const;
  Status Resize(uint32_t columns, uint32_t rows, Deadline deadline) const;

 private:
  Execution(const PodTable::Member& member, const PodInUse& in_use, std::string exec_id)
      : pod_(member.pod),
        container_id_(member.container->id.value()),
        exec_id_(std::move(exec_id)),
        shim_(in_use.shim) {}
  Result<std::shared_ptr<ShimClient>> Shim() const;
  spec::ProcessRef Process() const;

  std::shared_ptr<Pod> pod_;
  std::string container_id_, exec_id_;
  std::weak_ptr<ShimClient> shim_;
  std::shared_ptr<ExecWait> wait_;  // the pod's entry that the shim's report is found under
};

}  // namespace catamaran
