#include "shim/backend_factory.h"

#include "sandbox/backend/fake_backend.h"
#include "sandbox/backend/namespace_backend.h"

namespace catamaran {

Result<std::unique_ptr<SandboxBackend>> MakeBackend(const std::string& hull, EventLoop& loop) {
  if (hull == "ns") return MakeNamespaceBackend(loop);
  if (hull == "fake") return std::make_unique<FakeBackend>(loop);
  return Fail(ErrorCode::kInvalidArgument, "--backend {}: this build has ns and fake", hull);
}

}  // namespace catamaran
