#include "cri/images/reference.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

const std::string kHex(64, 'a');

TEST(ImageReference, FillsInWhatShortNamesLeaveOut) {
  const struct {
    std::string text;
    std::string canonical;
  } rows[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"team/app", "docker.io/team/app:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/library/busybox", "docker.io/library/busybox:latest"},
      {"localhost/busybox", "localhost/busybox:latest"},
      {"localhost:5000/a/b:V_1.x-", "localhost:5000/a/b:V_1.x-"},
      {"registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"},
      {"HOST/app", "HOST/app:latest"},
      {"Registry.Test/app", "registry.test/app:latest"},
      {"Registry.Test:5000/app:V1", "registry.test:5000/app:V1"},
      {"LOCALHOST/app", "localhost/app:latest"},
      {"Docker.io/busybox", "docker.io/library/busybox:latest"},
      {"INDEX.docker.io/busybox:1@sha256:" + kHex, "docker.io/library/busybox@sha256:" + kHex},
      {"registry-1.docker.io/team/app", "docker.io/team/app:latest"},
      {"127.0.0.1/app", "127.0.0.1/app:latest"},
      {"localhost", "docker.io/library/localhost:latest"},
      {"r.test", "docker.io/library/r.test:latest"},
      {"r.test:5000", "docker.io/library/r.test:5000"},
      {"r.test:5000/a/b/c@sha256:" + kHex, "r.test:5000/a/b/c@sha256:" + kHex},
      {std::string(63, 'a'), "docker.io/library/" + std::string(63, 'a') + ":latest"},
      {"[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest"},
      {"e/a--b__c.d", "docker.io/e/a--b__c.d:latest"},
      {"busybox@sha256:" + kHex, "docker.io/library/busybox@sha256:" + kHex},
      {"busybox:1@sha256:" + kHex, "docker.io/library/busybox@sha256:" + kHex},
      {"quay.io/x/y@sha512:" + kHex + kHex, "quay.io/x/y@sha512:" + kHex + kHex},
  };
  for (const auto& row : rows) {
    const auto reference = ParseImageReference(row.text);
    ASSERT_TRUE(reference) << row.text << ": " << reference.error().message;
    EXPECT_EQ(reference->ToString(), row.canonical);
    EXPECT_EQ(ParseImageReference(reference->ToString())->ToString(), row.canonical);
  }
}

TEST(ImageReference, RefusesWhatTheGrammarDoesNotAllow) {
  const std::string rows[] = {
      "",
      ":",
      "/",
      "@",
      "a/",
      "/a",
      "a//b",
      "Busybox",
      "busy box",
      "a:",
      "a:-x",
      "a:.x",
      "a:b:c",
      "a:" + std::string(129, 't'),
      "a___b",
      "a..b",
      "a._b",
      "-a",
      "a-",
      "_a",
      "a_",
      "a/../b",
      "a@",
      "a@sha256:" + std::string(63, 'a'),
      "a@sha256:" + std::string(64, 'A'),
      "a@md5:" + kHex,
      "a@sha256:" + kHex + "@sha256:" + kHex,
      "host:port/a",
      "host:/a",
      "host:123456/a",
      "-host.io/a",
      "host-.io/a",
      "host..io/a",
      "[::1/a",
      "[::x]/a",
      std::string(248, 'a'),
      "x/" + std::string(2000, 'a'),
      "a\n",
      std::string("a\0b", 3),
      "a:\xc3\xa9",
      "sha256:" + kHex + ":x",
      kHex,
      "sha256:" + kHex,
  };
  for (const auto& row : rows) {
    const auto reference = ParseImageReference(row);
    ASSERT_FALSE(reference) << row << " became " << reference->ToString();
    EXPECT_EQ(reference.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(ImageId, IsAcceptedWithAndWithoutItsPrefix) {
  EXPECT_EQ(ParseImageId(kHex), "sha256:" + kHex);
  EXPECT_EQ(ParseImageId("sha256:" + kHex), "sha256:" + kHex);
  EXPECT_EQ(ParseImageId(kHex.substr(1)), std::nullopt);
  EXPECT_EQ(ParseImageId(std::string(64, 'A')), std::nullopt);
  EXPECT_EQ(ParseImageId("busybox"), std::nullopt);
}

}  // namespace
}  // namespace catamaran
