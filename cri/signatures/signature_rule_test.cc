#include "cri/signatures/signature_rule.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

TEST(CanonicalScope, IsAHostAPathOrAWildcard) {
  const struct {
    std::string text, scope;
  } rows[] = {
      {"*", "*"},
      {"r.test", "r.test"},
      {"R.Test:5000", "r.test:5000"},
      {"localhost", "localhost"},
      {"r.test/team", "r.test/team"},
      {"r.test:5000/team/app", "r.test:5000/team/app"},
      {"*.test", "*.test"},
      {"*.Sub.Test", "*.sub.test"},
      {"docker.io", "docker.io"},
      {"index.docker.io/library/busybox", "docker.io/library/busybox"},
      {"[::1]:5000/a", "[::1]:5000/a"},
  };
  for (const auto& row : rows) EXPECT_EQ(CanonicalScope(row.text), row.scope) << row.text;
}

TEST(CanonicalScope, IsNothingElse) {
  for (const char* text :
       {"", "busybox", "team/app", "r.test/", "r.test/app:1", "r.test/App", "*.test/app", "*test",
        "r.*", "**", "*.", "/app", "r.test//app", "https://r.test", "r.test/a@sha256:00", "*.r:5"})
    EXPECT_EQ(CanonicalScope(text), "") << text;
}

TEST(RuleFor, TheLongestScopeWins) {
  std::vector<SignatureRule> rules;
  for (const char* scope : {"*", "r.test", "r.test/team", "r.test/team/app", "*.test", "*.sub.test",
                            "docker.io/library"})
    rules.push_back({scope, SignatureRule::Kind::kAccept, {}});
  const struct {
    std::string repository, scope;
  } rows[] = {
      {"r.test/team/app", "r.test/team/app"},
      {"r.test/team/app/x", "r.test/team/app"},
      {"r.test/team/apple", "r.test/team"},
      {"r.test/teams/app", "r.test"},
      {"r.test/x", "r.test"},
      {"r.test:5000/team/app", "*.test"},  // another registry
      {"other.test/team/app", "*.test"},
      {"a.sub.test/x", "*.sub.test"},
      {"sub.test/x", "*.test"},
      {"test.evil/x", "*"},
      {"nottest/x", "*"},
      {"docker.io/library/busybox", "docker.io/library"},
      {"docker.io/team/busybox", "*"},
      {"[::1]:5000/x", "*"},
  };
  for (const auto& row : rows) {
    const auto* rule = RuleFor(rules, row.repository);
    ASSERT_NE(rule, nullptr) << row.repository;
    EXPECT_EQ(rule->scope, row.scope) << row.repository;
  }
  EXPECT_EQ(RuleFor({}, "r.test/x"), nullptr);
}

}  // namespace
}  // namespace catamaran
