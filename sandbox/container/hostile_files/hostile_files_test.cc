#include "sandbox/container/hostile_files/file_attacks.h"

namespace catamaran {
namespace {

class HostileFiles : public FileAttacks {};

TEST_F(HostileFiles, AFifoIsNotWaitedFor) { EXPECT_TRUE(EndsWithAFifo()); }
TEST_F(HostileFiles, AGiantIsNotRead) { EXPECT_LT(GrowthByPasswdOf(200 << 20), 20u << 20); }
TEST_F(HostileFiles, ALinkLeadsToNoFileOfTheMachine) { EXPECT_EQ(UidOfTheMachinesFile(), -1); }

}  // namespace
}  // namespace catamaran
