// Credentials from a docker config.json, and from the helpers that one names.
#include "cri/registry/docker_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cri/images/testing/image_builder.h"
#include "cri/registry/credential_helper.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

TEST(DockerConfig, IsAskedByHost) {
  const std::string text =
      R"({"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOnE="},"r.test:5000":)"
      R"({"username":"a","password":"b"},"empty.test":{}},"credHelpers":{"gcr.io":"gcloud"}})";
  const auto find = [&](const char* host) {
    return ReadDockerConfig(text, "c.json", host).value();
  };
  EXPECT_EQ(find("docker.io").credentials->password, "p:q");
  EXPECT_EQ(find("r.test:5000").credentials->username, "a");
  EXPECT_FALSE(find("r.test").credentials);
  EXPECT_FALSE(find("empty.test").credentials);
  EXPECT_EQ(find("empty.test").helper, "");
  EXPECT_EQ(find("gcr.io").helper, "gcloud");
  EXPECT_EQ(find("gcr.io").server, "gcr.io");
}

TEST(DockerConfig, AStoreIsForWhatTheFileDoesNotHold) {
  const std::string text =
      R"({"auths":{"a.test":{"username":"u","password":"p"},"b.test":{}},"credsStore":"pass"})";
  const auto find = [&](const char* host) {
    return ReadDockerConfig(text, "c.json", host).value();
  };
  EXPECT_EQ(find("a.test").credentials->username, "u");
  EXPECT_EQ(find("b.test").helper, "pass");
  EXPECT_EQ(find("c.test").helper, "pass");
  EXPECT_EQ(find("docker.io").server, "https://index.docker.io/v1/");
}

TEST(DockerConfig, ThatIsMalformedIsRefusedWithItsName) {
  for (const char* text : {"", "[]", "{\"auths\":[]}", "{\"auths\":{\"r.test\":{\"auth\":7}}}",
                           "{\"auths\":{\"r.test\":{\"auth\":\"s3cr3t!\"}}}", "{\"credsStore\":7}",
                           "{\"credHelpers\":{\"r.test\":[]}}"}) {
    const auto found = ReadDockerConfig(text, "c.json", "r.test");
    ASSERT_FALSE(found) << text;
    EXPECT_NE(found.error().message.find("c.json"), std::string::npos) << found.error().message;
    EXPECT_EQ(found.error().message.find("s3cr3t"), std::string::npos) << found.error().message;
  }
}

// Helpers are shell scripts in a folder of the test.
class CredentialHelperTest : public testing::Test {
 protected:
  void Helper(const std::string& name, const std::string& script) {
    const auto path = scratch_ / ("docker-credential-" + name);
    WriteTestFile(path, "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(chmod(path.c_str(), 0700), 0);
  }
  Result<std::optional<Credentials>> Ask(const std::string& name,
                                         Deadline deadline = Deadline::Never()) {
    return AskCredentialHelper(name, "r.test", "relative:/absent:" + scratch_.path().string(),
                               deadline);
  }
  void ExpectRefused(const std::string& name, ErrorCode code, const std::string& part) {
    const auto asked = Ask(name);
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().code, code) << asked.error().message;
    EXPECT_NE(asked.error().message.find(part), std::string::npos) << asked.error().message;
    EXPECT_EQ(asked.error().message.find("s3cr3t"), std::string::npos) << asked.error().message;
  }
  ScratchFolder scratch_{"helpers"};
};

TEST_F(CredentialHelperTest, GetsTheServerAndGivesCredentials) {
  Helper("one", R"([ "$1" = get ] && read server; [ "$server" = r.test ] &&
echo '{"ServerURL":"r.test","Username":"u","Secret":"s3cr3t"}')");
  const auto asked = Ask("one");
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ((*asked)->username, "u");
  EXPECT_EQ((*asked)->password, "s3cr3t");
}

TEST_F(CredentialHelperTest, ATokenInThePlaceOfAUserIsAnIdentityToken) {
  Helper("token", R"(echo '{"Username":"<token>","Secret":"s3cr3t"}')");
  EXPECT_EQ(Ask("token").value()->identity_token, "s3cr3t");
  EXPECT_EQ(Ask("token").value()->password, "");
}

TEST_F(CredentialHelperTest, ThatHasNoneSaysSo) {
  Helper("none", "echo credentials not found in native keychain; exit 1");
  EXPECT_FALSE(Ask("none").value());
  Helper("empty", "echo '{}'");
  EXPECT_FALSE(Ask("empty").value());
}

TEST_F(CredentialHelperTest, ThatFailsIsNamedAndWhatItPrintedIsNot) {
  Helper("broken", "echo s3cr3t; echo s3cr3t >&2; exit 3");
  ExpectRefused("broken", ErrorCode::kPermissionDenied, "exit code 3");
  Helper("garbage", "echo '{\"Secret\":s3cr3t'");
  ExpectRefused("garbage", ErrorCode::kInvalidArgument, "docker-credential-garbage");
  Helper("flood", "yes s3cr3t");
  ExpectRefused("flood", ErrorCode::kResourceExhausted, "docker-credential-flood");
  ExpectRefused("absent", ErrorCode::kPermissionDenied, "is not in any folder of PATH");
}

TEST_F(CredentialHelperTest, ANameLeadsNowhereElse) {
  for (const char* name : {"", "../one", "a/b", ".hidden", "a b", "a;b", "a\n"})
    ExpectRefused(name, ErrorCode::kInvalidArgument, "must be NAME");
}

TEST_F(CredentialHelperTest, ThatHangsEndsWithItsCaller) {
  Helper("hangs", "sleep 1000");
  const auto asked = Ask("hangs", Deadline::After(std::chrono::milliseconds(200)));
  EXPECT_EQ(asked.error().code, ErrorCode::kDeadlineExceeded) << asked.error().message;
}

TEST_F(CredentialHelperTest, IsFoundThroughTheFile) {
  Helper("store", R"(echo '{"Username":"u","Secret":"s3cr3t"}')");
  WriteTestFile(scratch_ / "config.json", R"({"credsStore":"store"})");
  const auto found = CredentialsFromDockerConfig(HostPath(scratch_ / "config.json"), "r.test",
                                                 scratch_.path().string(), Deadline::Never());
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ((*found)->password, "s3cr3t");
  WriteTestFile(scratch_ / "config.json", R"({"credHelpers":{"r.test":"absent"}})");
  const auto failed = CredentialsFromDockerConfig(HostPath(scratch_ / "config.json"), "r.test",
                                                  scratch_.path().string(), Deadline::Never());
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("config.json: credHelpers.r.test"), std::string::npos);
}

}  // namespace
}  // namespace catamaran
