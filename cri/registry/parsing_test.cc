// What the daemon reads of strangers: challenges, URLs, Retry-After, credentials.
#include <gtest/gtest.h>

#include <ctime>

#include "cri/registry/challenge.h"
#include "cri/registry/credentials.h"
#include "cri/registry/host_rotation.h"
#include "cri/registry/http.h"

namespace catamaran {
namespace {

TEST(Challenges, TakesTheOneThatDockerHubSends) {
  const auto challenges =
      ParseChallenges(R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
                      R"(scope="repository:a/b:pull,push")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].Parameter("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenges[0].Parameter("service"), "registry.docker.io");
  EXPECT_EQ(challenges[0].Parameter("scope"), "repository:a/b:pull,push");
}

TEST(Challenges, TakesSeveralInOneHeader) {
  const auto challenges =
      ParseChallenges("NEGOTIATE, basic  Realm = \"a \\\"b\\\\\" , Bearer realm=x,service = y");
  ASSERT_EQ(challenges.size(), 3u);
  EXPECT_EQ(challenges[0].scheme, "negotiate");
  EXPECT_EQ(challenges[1].Parameter("realm"), "a \"b\\");
  EXPECT_EQ(challenges[2].scheme, "bearer");
  EXPECT_EQ(challenges[2].Parameter("realm"), "x");
  EXPECT_EQ(challenges[2].Parameter("service"), "y");
}

TEST(Challenges, SurvivesWhatIsNone) {
  EXPECT_TRUE(ParseChallenges("").empty());
  EXPECT_TRUE(ParseChallenges(",, ,").empty());
  EXPECT_TRUE(ParseChallenges("=\"x\"").empty());
  EXPECT_TRUE(ParseChallenges("realm=\"no scheme\"").empty());
  EXPECT_EQ(ParseChallenges("Bearer realm=\"never closed")[0].parameters.size(), 0u);
  EXPECT_EQ(ParseChallenges("Bearer realm=\"ends in a backslash\\")[0].parameters.size(), 0u);
  EXPECT_EQ(ParseChallenges("Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gMDAuBgk=")[0].scheme,
            "negotiate");
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "a b=c,";
  EXPECT_LE(ParseChallenges(many).size(), 16u);
}

struct UrlRow {
  const char* name;
  const char* text;
  const char* expected;  // empty: refused
};
class UrlTest : public testing::TestWithParam<UrlRow> {};

TEST_P(UrlTest, IsReadOrRefused) {
  const auto url = ParseUrl(GetParam().text);
  EXPECT_EQ(url ? url->ToString() : "", GetParam().expected);
  if (!url) {
    EXPECT_EQ(url.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(url.error().message.find("secret"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rows, UrlTest,
    testing::Values(UrlRow{"Plain", "https://R.Test", "https://r.test/"},
                    UrlRow{"Port", "http://r.test:5000/v2/?a=b", "http://r.test:5000/v2/?a=b"},
                    UrlRow{"UsualPort", "https://r.test:443/", "https://r.test/"},
                    UrlRow{"AddressV6", "http://[::1]:5000/x", "http://[::1]:5000/x"},
                    UrlRow{"User", "https://user:secret@r.test/", ""},
                    UrlRow{"Scheme", "file:///etc/passwd", ""},
                    UrlRow{"Gopher", "gopher://r.test/", ""}, UrlRow{"NoScheme", "r.test/v2", ""},
                    UrlRow{"Blank", "https://r.test/a b", ""},
                    UrlRow{"LineEnd", "https://r.test/\r\nX: secret", ""},
                    UrlRow{"NoHost", "https:///v2", ""},
                    UrlRow{"PortZero", "https://r.test:0/", ""},
                    UrlRow{"PortTooLarge", "https://r.test:65536/", ""}, UrlRow{"Empty", "", ""}),
    [](const auto& row) { return row.param.name; });

TEST(Urls, OfRedirectsAreSeenFromWhereTheyCameFrom) {
  const Url base = ParseUrl("https://r.test:5000/v2/a/blobs/x?y=1").value();
  EXPECT_EQ(ResolveUrl(base, "/other").value().ToString(), "https://r.test:5000/other");
  EXPECT_EQ(ResolveUrl(base, "//s.test/z").value().ToString(), "https://s.test/z");
  EXPECT_EQ(ResolveUrl(base, "http://s.test/z").value().scheme, "http");
  EXPECT_FALSE(ResolveUrl(base, "file:///etc/passwd"));
  EXPECT_FALSE(ResolveUrl(base, "https://u:p@s.test/"));
  EXPECT_FALSE(base.SameOrigin(ParseUrl("https://r.test/").value()));
  EXPECT_FALSE(base.SameOrigin(ParseUrl("http://r.test:5000/").value()));
}

TEST(Urls, KnowWhatIsThisMachine) {
  for (const char* text :
       {"http://localhost/", "http://127.0.0.1:1/", "http://127.9.9.9/", "http://[::1]/"})
    EXPECT_TRUE(ParseUrl(text).value().IsLoopback()) << text;
  for (const char* text :
       {"http://128.0.0.1/", "http://127.0.0.1.r.test/", "http://localhost.r.test/"})
    EXPECT_FALSE(ParseUrl(text).value().IsLoopback()) << text;
}

TEST(RetryAfter, IsSecondsOrADate) {
  EXPECT_EQ(ParseRetryAfter("7"), std::chrono::seconds(7));
  EXPECT_EQ(ParseRetryAfter("Thu, 01 Jan 1970 00:00:00 GMT"), std::chrono::seconds(0));
  const time_t soon = time(nullptr) + 100;
  char text[64];
  strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&soon));
  EXPECT_NEAR(static_cast<double>(ParseRetryAfter(text)->count()), 100'000, 30'000);
  for (const char* wrong : {"", "-1", "1.5", "soon", "99999999999999999999"})
    EXPECT_FALSE(ParseRetryAfter(wrong)) << wrong;
}

TEST(HostRotation, TriesEachHostAndThenThoseThatMayRecover) {
  HostRotation rotation({0, 1, 2}, {.rounds = 2, .first_pause = std::chrono::milliseconds(1)});
  const auto next = [&] { return rotation.Next(Deadline::Never(), {}); };
  const auto fail = [&](ErrorCode code, const char* text) { rotation.Failed({code, 0, text}); };
  EXPECT_EQ(next().value(), 0u);
  fail(ErrorCode::kUnavailable, "a");
  EXPECT_EQ(next().value(), 1u);
  fail(ErrorCode::kNotFound, "b");
  EXPECT_EQ(next().value(), 2u);
  fail(ErrorCode::kUnavailable, "c");
  EXPECT_EQ(next().value(), 0u);
  fail(ErrorCode::kUnavailable, "d");
  EXPECT_EQ(next().value(), 2u);
  fail(ErrorCode::kPermissionDenied, "e");
  const auto end = next();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ErrorCode::kUnavailable);  // the first may come back
  EXPECT_EQ(end.error().message, "b; d; e");
}

TEST(HostRotation, EndsItsPauseWithTheCaller) {
  HostRotation rotation({0}, {.rounds = 9, .first_pause = std::chrono::hours(1)});
  EXPECT_TRUE(rotation.Next(Deadline::Never(), {}));
  rotation.Failed({ErrorCode::kUnavailable, 0, "busy"});
  const auto next = rotation.Next(Deadline::Never(), [] { return true; });
  EXPECT_EQ(next.error().code, ErrorCode::kDeadlineExceeded);
}

constexpr char kAuth[] = "dTpwOnE=";  // u:p:q

TEST(CredentialsTest, AreReadFromEveryField) {
  EXPECT_EQ(CredentialsFor({"u", "p", "", "", "", ""}, "r.test")->password, "p");
  EXPECT_EQ(CredentialsFor({"", "", kAuth, "", "", ""}, "r.test")->username, "u");
  EXPECT_EQ(CredentialsFor({"", "", kAuth, "", "", ""}, "r.test")->password, "p:q");
  EXPECT_EQ(CredentialsFor({"", "", "", "", "i", ""}, "r.test")->identity_token, "i");
  EXPECT_EQ(CredentialsFor({"", "", "", "", "", "t"}, "r.test")->registry_token, "t");
  EXPECT_TRUE(CredentialsFor({}, "r.test")->empty());
}

TEST(CredentialsTest, AreForTheServerTheyNameOnly) {
  const auto for_server = [](const char* server, const char* host) {
    return !CredentialsFor({"u", "p", "", server, "", ""}, host)->empty();
  };
  EXPECT_TRUE(for_server("r.test", "r.test"));
  EXPECT_TRUE(for_server("https://R.test/v2/", "r.test"));
  EXPECT_TRUE(for_server("https://index.docker.io/v1/", "docker.io"));
  EXPECT_FALSE(for_server("r.test:5000", "r.test"));
  EXPECT_FALSE(for_server("r.test", "evil.r.test"));
}

TEST(CredentialsTest, ThatMakeNoSenseAreRefusedWithoutShowingThem) {
  for (const char* wrong : {"se(ret", "c2VjcmV0", "===="}) {
    const auto credentials = CredentialsFor({"", "", wrong, "", "", ""}, "r.test");
    ASSERT_FALSE(credentials) << wrong;
    EXPECT_EQ(credentials.error().message.find(wrong), std::string::npos);
  }
  EXPECT_FALSE(CredentialsFor({"", std::string(1 << 20, 'x'), "", "", "", ""}, "r.test"));
}

}  // namespace
}  // namespace catamaran
