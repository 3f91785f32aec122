#pragma once

#include <string>

#include "shim/namespace_shim_test.h"

namespace catamaran {

// Attacks on a shim's program and on its socket; each says what the attacker got.
class HostileShim : public NamespaceShimTest {
 protected:
  void SetUp() override;

  // CVE-2019-5736: a container has its exec run `#!/proc/self/exe`, keeps a descriptor of that
  // program and writes to it once nothing runs it any more. "ok", or the name of the error.
  std::string OverwriteProgram();

  // CVE-2020-15257: another user's Hello, by the socket with the modes that it has, or with all of
  // them open. "answered", or why not.
  enum class Modes { kAsMade, kFoldersOpen, kAllOpen };
  std::string GreetAsAnotherUser(Modes modes);

  std::filesystem::path program_;  // a copy: nobody else's shims run it
};

}  // namespace catamaran
