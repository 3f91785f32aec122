// What PullImage says of each way in which a pull fails: the kubelet reads the beginning of it.
#include "cri/registry/testing/certificates.h"
#include "cri/registry/testing/pull_lab.h"
#include "cri/service/runtime_calls.h"

namespace catamaran {
namespace {

class PullImageCall : public PullLab {
 protected:
  PullImageCall() {
    options_.patience.retry.rounds = 1;
    options_.patience.http.stall = std::chrono::seconds(1);
    MakePuller();
  }
  // An image of r.test, where that is this server.
  Error Fails(const std::string& server, const std::string& image = "r.test/app:1") {
    WriteHosts("r.test", "server = \"" + server + "\"\n");
    v1::PullImageRequest request;
    request.mutable_image()->set_image(image);
    const auto pulled = PullImage(request, {}, *puller_, meters_);
    EXPECT_FALSE(pulled);
    return pulled ? Error{} : pulled.error();
  }
  Meters meters_;
  void ExpectPrefix(const Error& error, const std::string& prefix) {
    EXPECT_EQ(error.code, ErrorCode::kUnknown) << error.message;
    EXPECT_TRUE(error.message.starts_with(prefix + ": ")) << error.message;
  }
};

TEST_F(PullImageCall, ARegistryThatCannotBeHadIsUnavailable) {
  TestServer broken([](const auto&) { return AnswerWith(503); });
  TestServer busy([](const auto&) { return AnswerWith(429); });
  TestServer silent([](const auto&) { return TestServer::Answer{"", true}; });
  TestServer rude([](const auto&) { return TestServer::Answer{""}; });
  const struct {
    const char* name;
    std::string server;
  } rows[] = {
      {"refuses connections", "http://127.0.0.1:1"},
      {"has no address", "http://absent.invalid"},
      {"answers 5xx", broken.url()},
      {"has too many requests", busy.url()},
      {"says nothing", silent.url()},
      {"hangs up", rude.url()},
      {"speaks no TLS", "https://" + broken.address()},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    ExpectPrefix(Fails(row.server), "RegistryUnavailable");
  }
}

TEST_F(PullImageCall, ARegistryWithAStrangersCertificateIsUnavailable) {
  const TestCertificate pair = MakeCertificate("registry", MakeAuthority("nobody's"));
  WriteTestFile(scratch_ / "server.crt", pair.certificate);
  WriteTestFile(scratch_ / "server.key", pair.key);
  const auto registry =
      StartRegistry("registry", "tls: {certificate: " + (scratch_ / "server.crt").string() +
                                    ", key: " + (scratch_ / "server.key").string() + "}");
  ExpectPrefix(Fails("https://" + registry->address()), "RegistryUnavailable");
}

TEST_F(PullImageCall, WhatThePolicyForbidsIsAFailedSignature) {
  options_.policy = std::make_shared<SignaturePolicy>(
      std::vector<SignatureRule>{{"*", SignatureRule::Kind::kReject, {}}});
  MakePuller();
  ExpectPrefix(Fails("http://127.0.0.1:1"), "SignatureValidationFailed");
}

TEST_F(PullImageCall, OtherFailuresHaveTheirOwnCodes) {
  TestServer closed([](const auto&) { return AnswerWith(403); });
  TestServer empty([](const auto&) { return AnswerWith(404); });
  EXPECT_EQ(Fails(closed.url()).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(Fails(empty.url()).code, ErrorCode::kNotFound);
  EXPECT_EQ(Fails(empty.url(), "Not A Name").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Fails(empty.url(), std::string(64, 'a')).code, ErrorCode::kInvalidArgument)
      << "an id is not pulled";
}

}  // namespace
}  // namespace catamaran
