#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cstdio>
#include <cstring>

#include "sandbox/hostile/attack_verbs.h"

// As engine_test_main.cc, with an attacker's verbs.
int main(int argc, char** argv) {
  const char* name = strrchr(argv[0], '/');
  if (strcmp(name == nullptr ? argv[0] : name + 1, "probe") == 0)
    return catamaran::RunProbe(argc, argv, catamaran::AttackVerbs());
  testing::InitGoogleTest(&argc, argv);
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0) {
    perror("a mount namespace for the tests (root is needed)");
    return 1;
  }
  return RUN_ALL_TESTS();
}
