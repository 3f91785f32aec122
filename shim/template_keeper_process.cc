#include "shim/template_keeper_process.h"

#include <sys/prctl.h>

#include "sandbox/kernel/event_loop.h"
#include "shim/client/shim_spawn.h"
#include "vm-backend/host/qemu_template.h"
#include "vm-backend/templates/template_keeper.h"

namespace catamaran {

Status RunTemplateKeeper(const std::string& root) {
  prctl(PR_SET_NAME, "catamaran-tmpl");
  ASSIGN_OR_RETURN(auto loop, EventLoop::Create());
  const auto maker = MakeQemuTemplateMaker(*loop);
  TemplateKeeper::Options options;
  options.root = HostPath(root);
  options.on_unused = [&loop] { loop->Stop(); };
  TemplateKeeper keeper(*loop, *maker, std::move(options));
  RETURN_IF_ERROR(keeper.Serve(UniqueFd(kShimListenerFd)));
  return loop->Run();
}

}  // namespace catamaran
