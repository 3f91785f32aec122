#include <cstdio>
#include <vector>

#include "sandbox/container/seccomp_rules.h"

// Part of the build: writes the default profile's programs for the capabilities that containers
// usually have (the default ones, none, all, and the default ones with one more) as
// seccomp_precompiled.inc.
int main() {
  using catamaran::CapabilitySet;
  const CapabilitySet usual =
      catamaran::CapabilitiesOfDefaultProfile(catamaran::DefaultCapabilities());
  const CapabilitySet all = catamaran::CapabilitiesOfDefaultProfile(CapabilitySet{~uint64_t{0}});
  std::vector<CapabilitySet> sets = {usual, CapabilitySet{}, all};
  for (int number = 0; number < 64; ++number) {
    CapabilitySet one_more = usual;
    one_more.Add(number);
    if (all.Has(number) && !usual.Has(number)) sets.push_back(one_more);
  }
  std::printf("#include <linux/filter.h>\n\n#include <cstddef>\n#include <cstdint>\n\n");
  std::printf("namespace catamaran {\n");
  for (const auto& set : sets) {
    const auto program = catamaran::CompileDefaultProfile(set);
    if (!program) {
      std::fprintf(stderr, "%s\n", program.error().message.c_str());
      return 1;
    }
    std::printf("inline constexpr sock_filter kSeccompFilter%llx[] = {\n",
                static_cast<unsigned long long>(set.bits));
    for (const auto& insn : program->filter)
      std::printf("    {%u, %u, %u, %u},\n", insn.code, insn.jt, insn.jf, insn.k);
    std::printf("};\n");
  }
  std::printf(
      "struct PrecompiledSeccomp {\n  uint64_t capabilities;\n  const sock_filter* filter;\n"
      "  size_t length;\n};\ninline constexpr PrecompiledSeccomp kPrecompiledSeccomp[] = {\n");
  for (const auto& set : sets)
    std::printf(
        "    {0x%llx, kSeccompFilter%llx, sizeof kSeccompFilter%llx / sizeof(sock_filter)},\n",
        static_cast<unsigned long long>(set.bits), static_cast<unsigned long long>(set.bits),
        static_cast<unsigned long long>(set.bits));
  std::printf("};\n}  // namespace catamaran\n");
  return 0;
}
