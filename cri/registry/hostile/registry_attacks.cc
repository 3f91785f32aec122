#include "cri/registry/hostile/registry_attacks.h"

#include <malloc.h>

#include <fstream>

#include "cri/images/hasher.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// bcrypt of the password: what docker-registry takes.
constexpr char kHtpasswd[] =
    "tester:$2y$05$abcdefghijklmnopqrstuu3Jd./u/rH1RxB6auX5v7gLP6uWhKCgG\n";

// "VmHWM:     1234 kB" of /proc/self/status, in bytes.
uint64_t StatusBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) << 10;
  return 0;
}

std::string FirstCredential(const TestServer& server) {
  for (const auto& request : server.requests())
    if (!request.Header("authorization").empty()) return request.Header("authorization");
  return "";
}

}  // namespace

RegistryAttacks::RegistryAttacks() {
  WriteTestFile(scratch_ / "htpasswd", kHtpasswd);
  registry_ = StartRegistry("registry", "",
                            "htpasswd: {realm: x, path: " + (scratch_ / "htpasswd").string() + "}");
  AddImage(*registry_, "app", "1", image_);
}

std::string RegistryAttacks::CredentialAfterRedirect() {
  TestServer thief([](const TestServer::Request&) { return AnswerWith(404); });
  TestServer front([&](const TestServer::Request& request) {
    if (!request.Asks("/blobs/")) return Forward(request, registry_->port());
    return AnswerWith(307, "", "Location: " + thief.url() + request.target + "\r\n");
  });
  EXPECT_FALSE(Pull(front.address() + "/app:1", auth_));
  EXPECT_FALSE(thief.requests().empty()) << "the attack did not reach its host";
  return FirstCredential(thief);
}

std::pair<size_t, std::string> RegistryAttacks::RequestsToForeignLayer() {
  TestServer thief([](const TestServer::Request&) {
    return AnswerWith(401, "", "WWW-Authenticate: Basic realm=\"x\"\r\n");
  });
  const std::string config = ConfigJson(image_);
  EXPECT_TRUE(registry_->AddBlob("app", config));
  const std::string absent = Sha256Of("a layer that only the foreign host has");
  EXPECT_TRUE(registry_->AddManifest(
      "app", "foreign",
      fmt::format(
          R"({{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
          R"("config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{}",)"
          R"("size":{}}},"layers":[{{"mediaType":)"
          R"("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{}","size":100,)"
          R"("urls":["{}/layer"]}}]}})",
          Sha256Of(config), config.size(), absent, thief.url())));
  const auto pulled = Pull(registry_->address() + "/app:foreign", auth_);
  EXPECT_FALSE(pulled);
  EXPECT_EQ(pulled.error().code, ErrorCode::kNotFound) << pulled.error().message;
  return {thief.requests().size(), FirstCredential(thief)};
}

uint64_t RegistryAttacks::GrowthByManifestOf(size_t bytes) {
  const auto answer = AnswerWith(200, std::string(bytes, ' '));
  TestServer server([&](const TestServer::Request&) { return answer; });
  malloc_trim(0);
  WriteTestFile("/proc/self/clear_refs", "5");  // the peak begins anew: proc(5)
  const uint64_t before = StatusBytes("VmRSS");
  EXPECT_FALSE(Pull(server.address() + "/app:1"));
  return StatusBytes("VmHWM") - before - bytes;  // the server's own copy
}

}  // namespace catamaran
