#include "sandbox/container/hostile_files/file_attacks.h"

namespace catamaran {
namespace {

class UncheckedFiles : public FileAttacks {};

TEST_F(UncheckedFiles, HangAtAFifo) { EXPECT_FALSE(EndsWithAFifo()); }
TEST_F(UncheckedFiles, FillTheMemoryByAGiant) {
  EXPECT_GT(GrowthByPasswdOf(200 << 20), 100u << 20);
}
TEST_F(UncheckedFiles, GiveAwayAFileOfTheMachine) { EXPECT_EQ(UidOfTheMachinesFile(), 4242); }

}  // namespace
}  // namespace catamaran
