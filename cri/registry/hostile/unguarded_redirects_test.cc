// What a redirect gains where nothing is taken out of a request.
#include "cri/registry/hostile/registry_attacks.h"

namespace catamaran {
namespace {

class UnguardedRedirectsTest : public RegistryAttacks {};

TEST_F(UnguardedRedirectsTest, GiveTheCredentialToTheHostRedirectedTo) {
  EXPECT_EQ(CredentialAfterRedirect(), kBasicHeader);
}

}  // namespace
}  // namespace catamaran
