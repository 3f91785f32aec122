// User namespaces of pods: what a right request becomes.
#include <gtest/gtest.h>

#include "cri/translate/test_input.h"

namespace catamaran {
namespace {

v1::UserNamespace* Users(TestInput& in, uint32_t host_id = 65536, uint32_t length = 65536) {
  auto* users = in.pod_security()->mutable_namespace_options()->mutable_userns_options();
  users->set_mode(v1::POD);
  for (auto* mapping : {users->add_uids(), users->add_gids()}) {
    mapping->set_host_id(host_id);
    mapping->set_length(length);
  }
  return users;
}

TEST(UserNamespace, IsThePodsOneMapping) {
  TestInput in;
  Users(in)->mutable_gids(0)->set_host_id(131072);
  const auto spec = in.Sandbox();
  ASSERT_TRUE(spec) << spec.error().message;
  ASSERT_EQ(spec->user_namespace().uids_size(), 1);
  EXPECT_EQ(spec->user_namespace().uids(0).host_id(), 65536U);
  EXPECT_EQ(spec->user_namespace().uids(0).length(), 65536U);
  EXPECT_EQ(spec->user_namespace().gids(0).host_id(), 131072U);
}

TEST(UserNamespace, OfTheNodeIsNone) {
  TestInput in;
  in.pod_security()->mutable_namespace_options()->mutable_userns_options()->set_mode(v1::NODE);
  EXPECT_FALSE(in.Sandbox()->has_user_namespace());
}

TEST(UserNamespace, LeavesPingToRoot) {
  TestInput in;
  EXPECT_TRUE(in.Sandbox()->sysctls().contains("net.ipv4.ping_group_range"));
  Users(in);
  EXPECT_FALSE(in.Sandbox()->sysctls().contains("net.ipv4.ping_group_range"));
  EXPECT_TRUE(in.Sandbox()->sysctls().contains("net.ipv4.ip_unprivileged_port_start"));
}

TEST(UserNamespace, MayShareTheNodesNetwork) {
  TestInput in;
  Users(in);
  in.pod_security()->mutable_namespace_options()->set_network(v1::NODE);
  const auto spec = in.Sandbox();
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_TRUE(spec->has_user_namespace());
  EXPECT_EQ(spec->network(), spec::NODE);
}

TEST(UserNamespace, OfAContainerIsThePods) {
  TestInput in;
  *in.security()->mutable_namespace_options()->mutable_userns_options() = *Users(in);
  EXPECT_TRUE(in.Container()) << in.Container().error().message;
  in.security()->clear_namespace_options();
  EXPECT_TRUE(in.Container()) << "without a word on it";
  in.security()->mutable_namespace_options()->mutable_userns_options()->set_mode(v1::NODE);
  EXPECT_FALSE(in.Container()) << "the node's is another one";
}

TEST(UserNamespace, MountsKeepTheirMappings) {
  TestInput in;
  Users(in);
  auto* mount = in.AddMount();
  for (auto* mapping : {mount->add_uidmappings(), mount->add_gidmappings()}) {
    mapping->set_host_id(65536);
    mapping->set_length(65536);
  }
  const auto spec = in.Container();
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->mounts(0).uid_mappings(0).host_id(), 65536U);
  EXPECT_EQ(spec->mounts(0).gid_mappings(0).length(), 65536U);
}

TEST(UserNamespace, NothingIsMountedOnTheNodeFromIt) {
  TestInput in;
  Users(in);
  in.AddMount()->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
  const auto spec = in.Container();
  ASSERT_FALSE(spec);
  EXPECT_NE(spec.error().message.find("propagation: 'PROPAGATION_BIDIRECTIONAL'"),
            std::string::npos)
      << spec.error().message;
  in.container.mutable_mounts(0)->set_propagation(v1::PROPAGATION_HOST_TO_CONTAINER);
  EXPECT_TRUE(in.Container());
}

}  // namespace
}  // namespace catamaran
