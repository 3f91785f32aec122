// hosts.toml files: what they say, and what is wrong with them.
#include "cri/registry/hosts.h"

#include "cri/registry/testing/certificates.h"
#include "cri/registry/testing/pull_lab.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

Result<std::vector<RegistryHost>> Parse(const std::string& text,
                                        const std::string& registry = "r.test",
                                        const HostPath& folder = HostPath("/nowhere")) {
  return ParseHosts(text, "hosts.toml", registry, folder);
}

TEST(Hosts, WithoutAFileAreTheRegistryItself) {
  const auto base = [](const char* registry) {
    const auto hosts = HostsOf(registry, HostPath());
    return hosts && hosts->size() == 1 && !(*hosts)[0].is_mirror ? (*hosts)[0].base.ToString() : "";
  };
  EXPECT_EQ(base("docker.io"), "https://registry-1.docker.io/v2");
  EXPECT_EQ(base("r.test"), "https://r.test/v2");
  EXPECT_EQ(base("r.test:5000"), "https://r.test:5000/v2");
  EXPECT_EQ(base("localhost:5000"), "http://localhost:5000/v2");
  EXPECT_EQ(base("127.0.0.1:5000"), "http://127.0.0.1:5000/v2");
  EXPECT_EQ(base("[::1]:5000"), "http://[::1]:5000/v2");
  EXPECT_EQ(base("localhost"), "https://localhost/v2");
  EXPECT_EQ(base("10.0.0.1:5000"), "https://10.0.0.1:5000/v2");
}

TEST(Hosts, AreInTheOrderOfTheFileAndEndWithTheServer) {
  const auto hosts = Parse(R"(
server = "https://upstream.test"
[host."https://z.test"]
  capabilities = ["pull", "resolve"]
[host."http://a.test:5000/sub"]
  capabilities = ["pull"]
  skip_verify = true
  dial_timeout = "1500ms"
[host."https://m.test/v2/prefix"]
  override_path = true
  [host."https://m.test/v2/prefix".header]
    x-one = "1"
    x-two = ["2", "3"]
[host."upstream.test"]
)");
  ASSERT_TRUE(hosts) << hosts.error().message;
  ASSERT_EQ(hosts->size(), 5u);
  EXPECT_EQ((*hosts)[0].base.ToString(), "https://z.test/v2");
  EXPECT_TRUE((*hosts)[0].is_mirror);
  EXPECT_EQ((*hosts)[1].base.ToString(), "http://a.test:5000/sub/v2");
  EXPECT_FALSE((*hosts)[1].can_resolve);
  EXPECT_TRUE((*hosts)[1].tls.skip_verify);
  EXPECT_EQ((*hosts)[1].dial_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ((*hosts)[2].base.ToString(), "https://m.test/v2/prefix");
  EXPECT_EQ((*hosts)[2].headers,
            (std::vector<HttpRequest::Header>{{"x-one", "1"}, {"x-two", "2"}, {"x-two", "3"}}));
  EXPECT_FALSE((*hosts)[3].is_mirror);  // the same server
  EXPECT_EQ((*hosts)[4].base.ToString(), "https://upstream.test/v2");
  EXPECT_FALSE((*hosts)[4].is_mirror);
}

struct WrongHosts {
  const char* name;
  const char* text;
  const char* expected;
};
class WrongHostsTest : public testing::TestWithParam<WrongHosts> {};

TEST_P(WrongHostsTest, IsRefusedWithFileLineAndRemedy) {
  const auto hosts = Parse(GetParam().text);
  ASSERT_FALSE(hosts);
  EXPECT_NE(hosts.error().message.find(GetParam().expected), std::string::npos)
      << hosts.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, WrongHostsTest,
    testing::Values(
        WrongHosts{"NotToml", "server = \"https://a\"\n[host\n", "hosts.toml:2: not TOML: "},
        WrongHosts{"UnknownKey", "\nservers = \"https://a\"\n",
                   "hosts.toml:2: servers: unknown key; known are server, host"},
        WrongHosts{"UnknownHostKey", "[host.\"https://a\"]\n\nskip-verify = true\n",
                   "hosts.toml:3: https://a: skip-verify: unknown key"},
        WrongHosts{"Server", "server = 7", "hosts.toml:1: server is wrong: must be a URL"},
        WrongHosts{"ServerScheme", "server = \"ftp://a\"", "must be http:// or https://"},
        WrongHosts{"ServerSecret", "server = \"https://u:s3cret@a\"", "hosts.toml:1: this host is"},
        WrongHosts{"HostQuery", "[host.\"https://a/?x=y\"]\n", "hosts.toml:1: this host is wrong"},
        WrongHosts{"HostIsAList", "host = []", "host is wrong: must be tables"},
        WrongHosts{"HostIsAText", "[host]\n\"https://a\" = \"b\"", "a table for each mirror"},
        WrongHosts{"Capability", "[host.\"https://a\"]\ncapabilities = [\"pull\",\n \"pul\"]",
                   "hosts.toml:3: https://a: capabilities is wrong: must be a list of"},
        WrongHosts{"Capabilities", "[host.\"https://a\"]\ncapabilities = \"pull\"", "a list of"},
        WrongHosts{"SkipVerify", "skip_verify = \"yes\"", "must be true or false"},
        WrongHosts{"OverridePath", "[host.\"https://a\"]\noverride_path = 1", "true or false"},
        WrongHosts{"CaIsMissing", "ca = \"ca.crt\"", "hosts.toml:1: ca: "},
        WrongHosts{"CaType", "ca = 5", "a path or a list of paths"},
        WrongHosts{"ClientPairs", "client = [[\"a\",\"b\"],[\"c\",\"d\"]]", "one certificate"},
        WrongHosts{"HeaderName", "[header]\n\"a b\" = \"c\"", "a table of names and texts"},
        WrongHosts{"HeaderLineEnd", "[header]\na = \"c\\r\\nd\"", "a table of names and texts"},
        WrongHosts{"DialTimeout", "dial_timeout = \"soon\"", "a time up to an hour"},
        WrongHosts{"DialTimeoutTooLong", "dial_timeout = \"61m\"", "a time up to an hour"}),
    [](const auto& row) { return row.param.name; });

TEST(Hosts, SecretsOfTheFileAreNotInItsErrors) {
  EXPECT_EQ(Parse("server = \"https://u:s3cret@a\"").error().message.find("s3cret"),
            std::string::npos);
}

class HostsFolderTest : public PullLab {
 protected:
  std::string ServerOf(const std::string& registry) {
    const auto hosts = HostsOf(registry, options_.hosts_dir);
    EXPECT_TRUE(hosts) << hosts.error().message;
    return hosts ? hosts->back().base.host : "";
  }
};

TEST_F(HostsFolderTest, TheMostExactFolderWins) {
  WriteHosts("_default", "server = \"https://default.test\"");
  EXPECT_EQ(ServerOf("r.test:5000"), "default.test");
  WriteHosts("r.test:5000", "server = \"https://colon.test\"");
  EXPECT_EQ(ServerOf("r.test:5000"), "colon.test");
  WriteHosts("r.test_5000_", "server = \"https://underscore.test\"");
  EXPECT_EQ(ServerOf("r.test:5000"), "underscore.test");
  EXPECT_EQ(ServerOf("r.test"), "default.test");
}

TEST_F(HostsFolderTest, AFolderWithoutAFileIsAnErrorNotNothing) {
  ASSERT_TRUE(MakeDirectories(scratch_ / "hosts/r.test"));
  const auto hosts = HostsOf("r.test", options_.hosts_dir);
  ASSERT_FALSE(hosts);
  EXPECT_NE(hosts.error().message.find("hosts/r.test/hosts.toml: is missing"), std::string::npos);
}

TEST_F(HostsFolderTest, CertificatesAreFoundBesideTheFile) {
  const TestCertificate pair = MakeAuthority("x");
  WriteHosts("r.test", "ca = [\"ca.crt\"]\nclient = \"both.pem\"");
  WriteTestFile(scratch_ / "hosts/r.test/ca.crt", pair.certificate);
  WriteTestFile(scratch_ / "hosts/r.test/both.pem", pair.certificate + pair.key);
  const auto hosts = HostsOf("r.test", options_.hosts_dir);
  ASSERT_TRUE(hosts) << hosts.error().message;
  EXPECT_EQ((*hosts)[0].tls.ca, pair.certificate + "\n");
  EXPECT_EQ((*hosts)[0].tls.client_key, pair.certificate + pair.key);
  WriteTestFile(scratch_ / "hosts/r.test/ca.crt", "no certificate");
  EXPECT_FALSE(HostsOf("r.test", options_.hosts_dir));
}

}  // namespace
}  // namespace catamaran
