#include "cri/telemetry/metrics_server.h"

#include <curl/curl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <thread>

#include "cri/registry/testing/certificates.h"
#include "cri/telemetry/scrape.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

struct Answer {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string body, type;
};

// What a client of libcurl gets; `set` adds to the request.
Answer Get(const std::string& url, const std::function<void(CURL*)>& set = {}) {
  Answer answer;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(
      curl, CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t size, void* to) {
        static_cast<std::string*>(to)->append(data, size);
        return size;
      });
  if (set) set(curl);
  answer.code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  const char* type = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
  answer.type = type == nullptr ? "" : type;
  curl_easy_cleanup(curl);
  return answer;
}

class MetricsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/metrics-XXXXXX";
    folder_ = HostPath(mkdtemp(name));
  }
  void TearDown() override {
    server_.reset();
    (void)RemoveTree(folder_.value());
  }
  Status Start(const MetricsConfig& config = {}) {
    ASSIGN_OR_RETURN(server_, MetricsServer::Start(socket(), config, [this] {
                       return "made " + std::to_string(++made_) + "\n";
                     }));
    return {};
  }
  HostPath socket() const { return folder_ / "metrics.sock"; }
  HostPath Write(const std::string& name, const std::string& text) {
    const HostPath path = folder_ / name;
    EXPECT_TRUE(ReplaceFile(path.value(), text, 0600, Durability::kProcessCrash));
    return path;
  }
  MetricsConfig WithTls(const TestCertificate& certificate) {
    MetricsConfig config{.address = "127.0.0.1"};
    config.certificate = Write("cert.pem", certificate.certificate);
    config.key = Write("key.pem", certificate.key);
    return config;
  }

  HostPath folder_;
  int made_ = 0;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesTheTextOnAUnixSocketThatIsRootsAlone) {
  Write("metrics.sock", "left over");
  ASSERT_TRUE(Start());
  struct stat info {};
  ASSERT_EQ(stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(server_->url(), "");
  for (int i = 1; i <= 3; ++i) {
    const auto text = Scrape(socket(), Deadline::After(std::chrono::seconds(20)));
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, "made " + std::to_string(i) + "\n");
  }
  const auto on_socket = [&](CURL* curl) {
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket().c_str());
  };
  EXPECT_EQ(Get("http://node/metrics?x=1", on_socket).type,
            "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(Get("http://node/", on_socket).status, 404);
  EXPECT_EQ(Get("http://node/metrics",
                [&](CURL* curl) {
                  on_socket(curl);
                  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "x");
                })
                .status,
            405);
  server_.reset();
  EXPECT_FALSE(Exists(socket().value()));
}

TEST_F(MetricsServerTest, ServesOnLoopbackAndElsewhereWhenTold) {
  ASSERT_TRUE(Start({.address = "127.0.0.1"}));
  const std::string first = server_->url();
  EXPECT_EQ(Get(first).body, "made 1\n");
  ASSERT_TRUE(server_->Replace({.address = "::1"}));
  const std::string second = server_->url();
  EXPECT_TRUE(second.starts_with("http://[::1]:")) << second;
  EXPECT_EQ(Get(second).body, "made 2\n");
  EXPECT_EQ(Get(first).code, CURLE_COULDNT_CONNECT);
  ASSERT_TRUE(server_->Replace({}));
  EXPECT_EQ(server_->url(), "");
  EXPECT_EQ(Get(second).code, CURLE_COULDNT_CONNECT);
  EXPECT_TRUE(Scrape(socket(), Deadline::After(std::chrono::seconds(20))));
}

TEST_F(MetricsServerTest, AnAddressThatCannotBeHadLeavesTheOldOne) {
  ASSERT_TRUE(Start({.address = "127.0.0.1"}));
  const std::string url = server_->url();
  const auto other = MetricsServer::Start(folder_ / "other.sock", {.address = "127.0.0.1"},
                                          [] { return std::string(); });
  ASSERT_TRUE(other);
  const std::string taken = (*other)->url();
  const auto port = static_cast<uint16_t>(std::stoi(taken.substr(taken.rfind(':') + 1)));
  const auto refused = server_->Replace({.address = "127.0.0.1", .port = port});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("metrics.address: bind to 127.0.0.1 port"))
      << refused.error().message;
  EXPECT_EQ(server_->url(), url);
  EXPECT_EQ(Get(url).status, 200);
}

TEST_F(MetricsServerTest, TlsIsRenewedInPlaceAndBadFilesAreNamed) {
  const TestCertificate old_authority = MakeAuthority("old");
  const TestCertificate new_authority = MakeAuthority("new");
  const HostPath old_ca = Write("old-ca.pem", old_authority.certificate);
  const HostPath new_ca = Write("new-ca.pem", new_authority.certificate);
  const auto trusting = [](const HostPath& authority) {
    return [authority](CURL* curl) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, authority.string().c_str());
    };
  };
  MetricsConfig config = WithTls(MakeCertificate("127.0.0.1", old_authority));
  auto started = Start(config);
  ASSERT_TRUE(started) << started.error().message;
  const std::string url = server_->url();
  EXPECT_TRUE(url.starts_with("https://127.0.0.1:")) << url;
  EXPECT_EQ(Get(url, trusting(old_ca)).status, 200);
  EXPECT_EQ(Get(url, trusting(new_ca)).code, CURLE_PEER_FAILED_VERIFICATION);
  EXPECT_NE(Get("http" + url.substr(5)).status, 200) << "in the clear";

  config = WithTls(MakeCertificate("127.0.0.1", new_authority));
  ASSERT_TRUE(server_->Replace(config));
  EXPECT_EQ(server_->url(), url);
  EXPECT_EQ(Get(url, trusting(new_ca)).status, 200);
  EXPECT_EQ(Get(url, trusting(old_ca)).code, CURLE_PEER_FAILED_VERIFICATION);

  Write("cert.pem", "no certificate");
  const auto refused = server_->Replace(config);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("metrics.tls.certificate: '"))
      << refused.error().message;
  EXPECT_EQ(Get(url, trusting(new_ca)).status, 200);
}

TEST_F(MetricsServerTest, WithAClientCaOnlyItsClientsRead) {
  const TestCertificate authority = MakeAuthority("node");
  MetricsConfig config = WithTls(MakeCertificate("127.0.0.1", authority));
  config.client_ca = Write("ca.pem", authority.certificate);
  ASSERT_TRUE(Start(config));
  const TestCertificate client = MakeCertificate("prometheus", authority);
  const HostPath certificate = Write("client.pem", client.certificate);
  const HostPath key = Write("client.key", client.key);
  const auto trust = [&](CURL* curl) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, config.client_ca.string().c_str());
  };
  EXPECT_EQ(Get(server_->url(),
                [&](CURL* curl) {
                  trust(curl);
                  curl_easy_setopt(curl, CURLOPT_SSLCERT, certificate.string().c_str());
                  curl_easy_setopt(curl, CURLOPT_SSLKEY, key.string().c_str());
                })
                .status,
            200);
  EXPECT_NE(Get(server_->url(), trust).code, CURLE_OK);
}

TEST_F(MetricsServerTest, ClientsThatSayNothingKeepNobodyWaitingAndTooManyAreHungUpOn) {
  ASSERT_TRUE(Start());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
  std::vector<UniqueFd> silent;
  const auto join = [&] {
    silent.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(silent.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  };
  for (int i = 0; i < MetricsServer::kMostClients - 1; ++i) ASSERT_EQ(join(), 0);
  EXPECT_TRUE(Scrape(socket(), Deadline::After(std::chrono::seconds(5))));
  for (int i = 0; i < 3; ++i) ASSERT_EQ(join(), 0);
  EXPECT_FALSE(Scrape(socket(), Deadline::After(std::chrono::seconds(5)))) << "one too many";
  // Those are given up in time, and there is room again.
  std::this_thread::sleep_for(MetricsServer::kPatience);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool served = false;
  while (!served && std::chrono::steady_clock::now() < end)
    served = Scrape(socket(), Deadline::After(std::chrono::seconds(5))).has_value();
  EXPECT_TRUE(served);
}

}  // namespace
}  // namespace catamaran
