#include "sandbox/hostile/attack_verbs.h"

int main(int argc, char** argv) {
  return catamaran::RunProbe(argc, argv, catamaran::AttackVerbs());
}
