// The runtime itself: what the kubelet asks before it asks for pods.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

using ServiceTest = WorldTest;

TEST_F(ServiceTest, VersionIsWhatTheKubeletRequires) {
  v1::VersionRequest request;
  request.set_version("0.1.0");
  auto reply = cri().Version(request);
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->version(), "0.1.0");
  EXPECT_EQ(reply->runtime_name(), "catamaran");
  EXPECT_EQ(reply->runtime_api_version(), "v1");
  EXPECT_NE(reply->runtime_version().find('.'), std::string::npos) << reply->runtime_version();
}

TEST_F(ServiceTest, StatusIsReadyAndNamesEveryHandlerAndTheDefault) {
  auto reply = cri().Status({});
  ASSERT_TRUE(reply.ok()) << reply.message();
  std::set<std::string> true_conditions;
  for (const auto& condition : reply->status().conditions()) {
    if (condition.status()) true_conditions.insert(condition.type());
  }
  EXPECT_TRUE(true_conditions.count("RuntimeReady"));
  EXPECT_TRUE(true_conditions.count("NetworkReady"));
  std::set<std::string> handlers;
  for (const auto& handler : reply->runtime_handlers()) handlers.insert(handler.name());
  EXPECT_TRUE(handlers.count(""));
  EXPECT_TRUE(handlers.count("ns"));
  EXPECT_TRUE(handlers.count("vm"));
}

TEST_F(ServiceTest, RuntimeConfigNamesTheCgroupDriver) {
  auto reply = cri().RuntimeConfig({});
  ASSERT_TRUE(reply.ok()) << reply.message();
  EXPECT_EQ(reply->linux().cgroup_driver(), world().paths().systemd ? v1::SYSTEMD : v1::CGROUPFS);
}

TEST_F(ServiceTest, UpdateRuntimeConfigAcceptsTheNodesPodCidr) {
  v1::UpdateRuntimeConfigRequest request;
  request.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(
      "10.88.0.0/16,fd00:88::/64");
  auto reply = cri().UpdateRuntimeConfig(request);
  EXPECT_TRUE(reply.ok()) << reply.message();
}

TEST_F(ServiceTest, TheSocketIsBehindAFolderOnlyRootMayEnter) {
  struct stat folder {};
  ASSERT_EQ(stat(world().paths().run().c_str(), &folder), 0);
  EXPECT_EQ(folder.st_mode & 0777, 0700u);
}

// Streams have a client of another kind, and are tried where they are tested.
TEST_F(ServiceTest, EveryRpcIsThereOrSaysByItsNameThatItIsNot) {
  const auto* api = v1::VersionRequest::descriptor()->file();
  int called = 0;
  for (int i = 0; i < api->service_count(); ++i)
    for (int j = 0; j < api->service(i)->method_count(); ++j) {
      const auto* rpc = api->service(i)->method(j);
      if (rpc->server_streaming()) continue;
      ++called;
      const auto reply = cri().CallEmpty(api->service(i)->name() + "/" + rpc->name());
      if (reply.code() == ErrorCode::kUnimplemented) {
        EXPECT_EQ(reply.message(), rpc->name() + " is not implemented by this runtime");
      }
    }
  EXPECT_GT(called, 30);
}

}  // namespace
}  // namespace catamaran::e2e
