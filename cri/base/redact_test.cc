#include "cri/base/redact.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace catamaran {
namespace {

TEST(RedactText, HidesWhatFollowsTheNameOfASecret) {
  for (const auto& [text, hidden] : std::vector<std::pair<std::string, std::string>>{
           {"--token=abc next", "--token=(hidden) next"},
           {"--registry-password abc next", "--registry-password (hidden) next"},
           {"DB_PASSWORD=a:b;ls", "DB_PASSWORD=(hidden);ls"},
           {"export API_KEY='a b c' && run", "export API_KEY='(hidden)' && run"},
           {R"({"clientSecret": "a \" b", "x": 1})", R"x({"clientSecret": "(hidden)", "x": 1})x"},
           {"curl -H 'Authorization: Bearer abc.def' h",
            "curl -H 'Authorization: Bearer (hidden)' h"},
           {"authorization: Basic YTpi", "authorization: Basic (hidden)"},
           {"https://me:pass@r.test/v2/", "https://me:(hidden)@r.test/v2/"},
           {"password: abc", "password: (hidden)"},
           {"secret=", "secret="},
           {"token=x", "token=(hidden)"},
       }) {
    EXPECT_EQ(RedactText(text), hidden);
  }
}

TEST(RedactText, LeavesOtherTextAsItIs) {
  for (const std::string text :
       {"", "no such image: r.test:5000/app@sha256:00ff", "/var/run/secrets/kubernetes.io/token",
        "token is missing", "a secret place", "https://r.test:5000/v2/app", "http://[::1]:80/x@y",
        "--tokens", "\xff\xfe binary \x01"}) {
    EXPECT_EQ(RedactText(text), text);
  }
}

TEST(RedactJson, HidesEnvironmentAnnotationsAndFlags) {
  auto value = nlohmann::json::parse(R"({
    "envs": [{"key": "A", "value": "s1"}, {"key": "B"}],
    "annotations": {"note": "s2", "kubernetes.io/config.source": "api"},
    "command": ["app", "--token", "s3", "--verbose", "-c", "PASSWORD=s4 run", "--secret=s5", "x"],
    "nested": [{"auth": "s6", "identity_token": "s7", "path": "/p"}],
    "message": "failed at https://u:s8@h/ with token: s9"})");
  RedactJson(&value);
  const std::string text = value.dump();
  for (int i = 1; i <= 9; ++i)
    EXPECT_EQ(text.find("s" + std::to_string(i)), std::string::npos) << i << ": " << text;
  EXPECT_EQ(value["envs"][0]["key"], "A");
  EXPECT_EQ(value["annotations"]["kubernetes.io/config.source"], "api");
  EXPECT_EQ(value["command"][0], "app");
  EXPECT_EQ(value["command"][7], "x");
  EXPECT_EQ(value["nested"][0]["path"], "/p");
}

}  // namespace
}  // namespace catamaran
