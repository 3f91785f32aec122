// Who may pull, and where what proves it goes: basic and token authentication, TLS, redirects.
#include <atomic>
#include <ctime>
#include <mutex>
#include <set>

#include "cri/registry/testing/certificates.h"
#include "cri/registry/testing/pull_lab.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

constexpr char kUser[] = "tester";
constexpr char kPassword[] = "let-me-in";
// bcrypt of kPassword: what docker-registry takes.
constexpr char kHtpasswd[] =
    "tester:$2y$05$abcdefghijklmnopqrstuu3Jd./u/rH1RxB6auX5v7gLP6uWhKCgG\n";
constexpr char kBasicHeader[] = "Basic dGVzdGVyOmxldC1tZS1pbg==";
constexpr char kIdentityToken[] = "identity-token-of-the-test";

class PullAuthTest : public PullLab {
 protected:
  std::string WriteFile(const std::string& name, const std::string& content) {
    WriteTestFile(scratch_ / name, content);
    return (scratch_ / name).string();
  }

  std::string TlsConfig(const TestCertificate& pair, const std::string& more = "") {
    return "tls: {certificate: " + WriteFile("server.crt", pair.certificate) +
           ", key: " + WriteFile("server.key", pair.key) + more + "}";
  }

  // An error that is about secrets but holds none.
  static void ExpectRefused(const Result<Image>& pulled, ErrorCode code) {
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code, code) << pulled.error().message;
    for (const char* secret : {kPassword, kIdentityToken, "dGVzdGVyOmx", "Bearer", "wrong-one"})
      EXPECT_EQ(pulled.error().message.find(secret), std::string::npos) << pulled.error().message;
  }

  const TestImage image_{.layers = {Layer("a", 100'000, 1), Layer("b", 1000, 2)}};
  const AuthFields good_{kUser, kPassword, "", "", "", ""};
};

class BasicAuthTest : public PullAuthTest {
 protected:
  BasicAuthTest() { AddImage(*registry_, "app", "1", image_); }
  std::unique_ptr<LocalRegistry> registry_ = StartRegistry(
      "registry", "", "htpasswd: {realm: test, path: " + WriteFile("htpasswd", kHtpasswd) + "}");
  const std::string name_ = registry_->address() + "/app:1";
};

TEST_F(BasicAuthTest, CredentialsOfThePullOpenTheRegistry) {
  const auto pulled = Pull(name_, good_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
}

TEST_F(BasicAuthTest, EveryFormOfTheCredentialsIsTaken) {
  EXPECT_TRUE(Pull(name_, AuthFields{"", "", "dGVzdGVyOmxldC1tZS1pbg==", "", "", ""}));
  EXPECT_TRUE(Pull(name_, AuthFields{kUser, kPassword, "", registry_->address(), "", ""}));
  EXPECT_TRUE(Pull(
      name_, AuthFields{kUser, kPassword, "", "http://" + registry_->address() + "/v2/", "", ""}));
}

TEST_F(BasicAuthTest, WrongOrNoCredentialsAreRefusedWithoutNamingThem) {
  ExpectRefused(Pull(name_), ErrorCode::kPermissionDenied);
  ExpectRefused(Pull(name_, AuthFields{kUser, "wrong-one", "", "", "", ""}),
                ErrorCode::kPermissionDenied);
  ExpectRefused(Pull(name_, AuthFields{"", "", "wrong-one", "", "", ""}),
                ErrorCode::kInvalidArgument);
  // Meant for another server.
  ExpectRefused(Pull(name_, AuthFields{kUser, kPassword, "", "https://other.test", "", ""}),
                ErrorCode::kPermissionDenied);
}

TEST_F(BasicAuthTest, ADockerConfigIsAskedWhereThePullBringsNothing) {
  options_.docker_config = HostPath(
      WriteFile("config.json",
                R"({"auths":{"http://)" + registry_->address() +
                    R"(":{"auth":"dGVzdGVyOmxldC1tZS1pbg=="},"other.test":{"auth":"eA=="}}})"));
  MakePuller();
  EXPECT_TRUE(Pull(name_));
}

TEST_F(BasicAuthTest, ACredentialHelperIsAskedWhereADockerConfigSaysSo) {
  std::filesystem::create_directories(scratch_ / "bin");
  WriteFile("bin/docker-credential-test",
            "#!/bin/sh\necho '{\"Username\":\"tester\",\"Secret\":\"let-me-in\"}'\n");
  std::filesystem::permissions(scratch_ / "bin/docker-credential-test",
                               std::filesystem::perms::owner_all);
  options_.docker_config = HostPath(
      WriteFile("config.json", R"({"credHelpers":{")" + registry_->address() + R"(":"test"}})"));
  options_.helper_path = (scratch_ / "bin").string();
  MakePuller();
  const auto pulled = Pull(name_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  options_.helper_path = (scratch_ / "absent").string();
  MakePuller();
  ExpectRefused(Pull(name_), ErrorCode::kPermissionDenied);
}

TEST_F(BasicAuthTest, AHeaderOfHostsTomlOpensIt) {
  WriteHosts(registry_->address(),
             "[header]\nAuthorization = \"" + std::string(kBasicHeader) + "\"\n");
  EXPECT_TRUE(Pull(name_));
}

TEST_F(BasicAuthTest, CredentialsNeverFollowARedirectToAnotherHost) {
  TestServer store([&](const TestServer::Request& request) {
    TestServer::Request with = request;
    with.headers["authorization"] = kBasicHeader;
    return Forward(with, registry_->port());
  });
  TestServer front([&](const TestServer::Request& request) {
    if (!request.Asks("/blobs/")) return Forward(request, registry_->port());
    return AnswerWith(307, "",
                      "Location: " + store.url() + request.target + "?signature=s3cret\r\n");
  });
  // A header of the configuration is for the registry, too.
  WriteHosts(front.address(), "server = \"" + front.url() + "\"\n[header]\nX-Secret = \"y\"\n");
  const auto pulled = Pull(front.address() + "/app:1", good_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  EXPECT_GT(store.Count("/blobs/"), 2);
  for (const auto& request : store.requests()) {
    EXPECT_EQ(request.Header("authorization"), "");
    EXPECT_EQ(request.Header("x-secret"), "");
  }
  EXPECT_EQ(front.requests().back().Header("x-secret"), "y");
}

TEST_F(BasicAuthTest, AChallengeOfWhereItWasRedirectedToIsNotAnswered) {
  TestServer thief([&](const TestServer::Request&) {
    return AnswerWith(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
  });
  TestServer front([&](const TestServer::Request& request) {
    if (!request.Asks("/blobs/")) return Forward(request, registry_->port());
    return AnswerWith(302, "", "Location: " + thief.url() + request.target + "\r\n");
  });
  ExpectRefused(Pull(front.address() + "/app:1", good_), ErrorCode::kPermissionDenied);
  for (const auto& request : thief.requests()) EXPECT_EQ(request.Header("authorization"), "");
}

TEST_F(BasicAuthTest, AMirrorGetsCredentialsOnlyWhereTheyNameIt) {
  TestServer mirror(
      [&](const TestServer::Request& request) { return Forward(request, registry_->port()); });
  WriteHosts("r.test",
             "server = \"http://" + registry_->address() + "\"\n[host.\"" + mirror.url() + "\"]\n");
  ASSERT_TRUE(Pull("r.test/app:1", good_));
  EXPECT_GT(mirror.requests().size(), 0u);
  for (const auto& request : mirror.requests()) EXPECT_EQ(request.Header("authorization"), "");
  ASSERT_TRUE(store_->Remove("r.test/app:1"));
  ASSERT_TRUE(Pull("r.test/app:1", AuthFields{kUser, kPassword, "", mirror.address(), "", ""}));
  EXPECT_EQ(mirror.requests().back().Header("authorization"), kBasicHeader);
}

// docker-registry with a token server that is the test's own.
class TokenAuthTest : public PullAuthTest {
 protected:
  TokenAuthTest() { AddImage(*registry_, "team/app", "1", image_); }

  TestServer::Answer Issue(const TestServer::Request& request) {
    const bool refresh = request.method == "POST" &&
                         request.body.find(kIdentityToken) != std::string::npos &&
                         request.body.find("grant_type=refresh_token") != std::string::npos;
    if (!refresh && request.Header("authorization") != kBasicHeader) return AnswerWith(401, "{}");
    const std::string& asked = refresh ? request.body : request.target;
    if (asked.find("scope=repository%3Ateam%2Fapp%3Apull") == std::string::npos ||
        asked.find("service=the%20service") == std::string::npos)
      return AnswerWith(400, "{}");
    const long now = time(nullptr);
    const std::string claims = fmt::format(
        R"({{"iss":"issuer","sub":"tester","aud":"the service","exp":{},"nbf":{},"iat":{},)"
        R"("jti":"{}","access":[{{"type":"repository","name":"team/app","actions":["pull"]}}]}})",
        now + 300, now - 3600, now - 3600, ++serial_);
    return AnswerWith(200, R"({")" + field_ + R"(":")" + SignToken(claims, signer_) + "\"}");
  }

  const TestCertificate signer_ = MakeAuthority("token");
  std::atomic<int> serial_{0};
  std::string field_ = "token";
  TestServer tokens_{[this](const TestServer::Request& request) { return Issue(request); }};
  std::unique_ptr<LocalRegistry> registry_ =
      StartRegistry("registry", "",
                    "token: {realm: '" + tokens_.url() +
                        "/token', service: the service, issuer: issuer, rootcertbundle: " +
                        WriteFile("token.crt", signer_.certificate) + "}");
  const std::string name_ = registry_->address() + "/team/app:1";
};

TEST_F(TokenAuthTest, OneTokenOpensTheRepository) {
  const auto pulled = Pull(name_, good_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  EXPECT_EQ(tokens_.requests().size(), 1u);
}

TEST_F(TokenAuthTest, AnIdentityTokenIsExchanged) {
  field_ = "access_token";
  EXPECT_TRUE(Pull(name_, AuthFields{"", "", "", "", kIdentityToken, ""}));
}

TEST_F(TokenAuthTest, ATokenThatRunsOutDuringThePullIsFetchedAnew) {
  AddImage(*registry_, "team/app", "1", {.layers = {Layer("only", 1000)}});
  std::set<std::string> used;
  std::mutex mutex;
  TestServer front([&](const TestServer::Request& request) {
    TestServer::Request passed = request;
    const std::lock_guard lock(mutex);
    // Each token is good once; without one the registry asks for one.
    if (!used.insert(request.Header("authorization")).second) passed.headers.erase("authorization");
    return Forward(passed, registry_->port());
  });
  const auto pulled = Pull(front.address() + "/team/app:1", good_);
  ASSERT_TRUE(pulled) << pulled.error().message;
  EXPECT_EQ(tokens_.requests().size(), 3u);  // the manifest, the config, the layer
}

TEST_F(TokenAuthTest, WrongCredentialsAreRefusedWithoutNamingThem) {
  ExpectRefused(Pull(name_), ErrorCode::kPermissionDenied);
  ExpectRefused(Pull(name_, AuthFields{kUser, "wrong-one", "", "", "", ""}),
                ErrorCode::kPermissionDenied);
  ExpectRefused(Pull(name_, AuthFields{"", "", "", "", "wrong-one", ""}),
                ErrorCode::kPermissionDenied);
  ExpectRefused(Pull(name_, AuthFields{"", "", "", "", "", "wrong-one"}),
                ErrorCode::kPermissionDenied);
}

TEST_F(TokenAuthTest, ATokenThatWouldAddAHeaderIsNotSent) {
  TestServer evil([&](const TestServer::Request&) {
    return AnswerWith(200, R"({"token":"x\r\nX-Smuggled: 1"})");
  });
  TestServer front([&](const TestServer::Request&) {
    return AnswerWith(401, "",
                      "WWW-Authenticate: Bearer realm=\"" + evil.url() + "\",service=\"s\"\r\n");
  });
  const auto pulled = Pull(front.address() + "/app:1");
  ASSERT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kInvalidArgument) << pulled.error().message;
  for (const auto& request : front.requests()) EXPECT_EQ(request.Header("x-smuggled"), "");
}

class TlsTest : public PullAuthTest {
 protected:
  const TestCertificate authority_ = MakeAuthority("test authority");
  const std::string ca_ = WriteFile("ca.crt", authority_.certificate);
};

TEST_F(TlsTest, ARegistryIsTrustedByTheConfiguredAuthorityOnly) {
  const auto registry =
      StartRegistry("registry", TlsConfig(MakeCertificate("registry", authority_)));
  AddImage(*registry, "app", "1", image_);
  const std::string server = "server = \"https://" + registry->address() + "\"\n";
  const std::string name = registry->address() + "/app:1";
  WriteHosts(registry->address(), server);
  ExpectRefused(Pull(name), ErrorCode::kFailedPrecondition);
  WriteHosts(registry->address(), server + "ca = \"" + ca_ + "\"\n");
  const auto pulled = Pull(name);
  ASSERT_TRUE(pulled) << pulled.error().message;
  ExpectWhole(*pulled, image_);
  ASSERT_TRUE(store_->Remove(name));
  const std::string other = WriteFile("other.crt", MakeAuthority("other").certificate);
  WriteHosts(registry->address(), server + "ca = [\"" + other + "\"]\n");
  ExpectRefused(Pull(name), ErrorCode::kFailedPrecondition);
  WriteHosts(registry->address(), server + "skip_verify = true\n");
  EXPECT_TRUE(Pull(name));
}

TEST_F(TlsTest, CredentialsAreNotSentInClearToWhereAnEncryptedRegistryPoints) {
  const auto registry = StartRegistry(
      "registry", TlsConfig(MakeCertificate("registry", authority_)),
      "token: {realm: 'http://tokens.test/', service: s, issuer: i, rootcertbundle: " + ca_ + "}");
  WriteHosts(registry->address(),
             "server = \"https://" + registry->address() + "\"\nca = \"" + ca_ + "\"\n");
  const auto pulled = Pull(registry->address() + "/app:1", good_);
  ExpectRefused(pulled, ErrorCode::kPermissionDenied);
  EXPECT_NE(pulled.error().message.find("without encryption"), std::string::npos);
}

TEST_F(TlsTest, AClientCertificateIsShownWhereOneIsConfigured) {
  const auto registry = StartRegistry("registry", TlsConfig(MakeCertificate("registry", authority_),
                                                            ", clientcas: ['" + ca_ + "']"));
  AddImage(*registry, "app", "1", image_);
  const TestCertificate client = MakeCertificate("client", authority_);
  const std::string server =
      "server = \"https://" + registry->address() + "\"\nca = \"" + ca_ + "\"\n";
  WriteHosts(registry->address(), server);
  const std::string name = registry->address() + "/app:1";
  EXPECT_FALSE(Pull(name));
  WriteFile("hosts/" + registry->address() + "/c.pem", client.certificate);
  WriteFile("hosts/" + registry->address() + "/c.key", client.key);
  WriteHosts(registry->address(), server + "client = [[\"c.pem\", \"c.key\"]]\n");
  const auto pulled = Pull(name);
  ASSERT_TRUE(pulled) << pulled.error().message;
}

TEST_F(TlsTest, ARedirectFromHttpsToHttpIsNotFollowed) {
  TestServer plain([&](const TestServer::Request&) { return AnswerWith(200, "x"); });
  const auto registry = StartRegistry(
      "registry", TlsConfig(MakeCertificate("registry", authority_)), "",
      "middleware: {storage: [{name: redirect, options: {baseurl: '" + plain.url() + "/'}}]}\n");
  AddImage(*registry, "app", "1", image_);
  WriteHosts(registry->address(),
             "server = \"https://" + registry->address() + "\"\nca = \"" + ca_ + "\"\n");
  ExpectRefused(Pull(registry->address() + "/app:1"), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(plain.requests().empty());
}

}  // namespace
}  // namespace catamaran
