#include "sandbox/container/user.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "sandbox/base/files.h"

namespace catamaran {
namespace {

class UserTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(testing::TempDir()) /
            ("user_test_" + std::to_string(getpid()) + "_" +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    ASSERT_TRUE(RemoveTree(root_));
    ASSERT_TRUE(MakeDirectories(root_ / "etc"));
    File("etc/passwd",
         "root:x:0:0:root:/root:/bin/sh\n"
         "broken line\n"
         "bad:x:nine:9::/bad:\n"
         "www-data:x:33:34:www:/var/www:/bin/false\n"
         "app:x:1000:1000:::\n");
    File("etc/group", "root:x:0:\nstaff:x:50:app,www-data\nextra:x:50000:app\nempty:x:7\n");
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(root_)); }

  void File(const std::string& path, const std::string& content) {
    ASSERT_TRUE(ReplaceFile(root_ / path, content, 0644, Durability::kProcessCrash));
  }
  Result<ProcessUser> Resolve(const spec::UserSpec& user) {
    return ResolveUser(OpenFile(root_, O_PATH | O_DIRECTORY).value().get(), user);
  }
  static spec::UserSpec User(const std::string& text, std::vector<uint32_t> supplemental = {},
                             spec::SupplementalGroupsPolicy policy = spec::MERGE) {
    spec::UserSpec user;
    user.set_user(text);
    for (const uint32_t group : supplemental) user.add_supplemental_groups(group);
    user.set_groups_policy(policy);
    return user;
  }
  // "uid gid [groups] home", or the error's code.
  std::string Text(const spec::UserSpec& user) {
    const auto resolved = Resolve(user);
    if (!resolved) return std::string(ErrorCodeName(resolved.error().code));
    std::string groups;
    for (const uint32_t group : resolved->ids.groups())
      groups += (groups.empty() ? "" : ",") + std::to_string(group);
    return fmt::format("{} {} [{}] {}", resolved->ids.uid(), resolved->ids.gid(), groups,
                       resolved->home);
  }

  std::filesystem::path root_;
};

TEST_F(UserTest, ResolvesNamesAndNumbers) {
  EXPECT_EQ(Text(User("")), "0 0 [0] /root");
  EXPECT_EQ(Text(User("www-data")), "33 34 [34,50] /var/www");
  EXPECT_EQ(Text(User("33")), "33 34 [34,50] /var/www");
  EXPECT_EQ(Text(User("app")), "1000 1000 [50,1000,50000] /");
  EXPECT_EQ(Text(User("4711")), "4711 0 [0] /");
  EXPECT_EQ(Text(User("4711:12")), "4711 12 [12] /");
  EXPECT_EQ(Text(User("app:staff")), "1000 50 [50,50000] /");
  EXPECT_EQ(Text(User("app:")), "1000 1000 [50,1000,50000] /");
  EXPECT_EQ(Text(User(":staff")), "0 50 [50] /root");
}

TEST_F(UserTest, TheRequestsGroupWins) {
  auto user = User("app:staff");
  user.set_has_gid(true);
  user.set_gid(99);
  EXPECT_EQ(Text(user), "1000 99 [50,99,50000] /");
}

TEST_F(UserTest, StrictPolicyTakesOnlyTheNamedGroups) {
  EXPECT_EQ(Text(User("1000", {1234})), "1000 1000 [50,1000,1234,50000] /");
  EXPECT_EQ(Text(User("1000", {1234}, spec::STRICT)), "1000 1000 [1000,1234] /");
  EXPECT_EQ(Text(User("1000", {7, 7, 1000}, spec::STRICT)), "1000 1000 [7,1000] /");
}

TEST_F(UserTest, RefusesWhatItCannotResolve) {
  for (const std::string text : {"nobody-here", "bad", "2147483648", "99999999999999999999", "-1",
                                 "app:none", "app:2147483648", "root "})
    EXPECT_EQ(Text(User(text)), "INVALID_ARGUMENT") << text;
  EXPECT_EQ(Text(User("app", {2147483648u})), "INVALID_ARGUMENT");
}

TEST_F(UserTest, MissingFilesAreEmptyOnes) {
  ASSERT_TRUE(RemoveTree(root_ / "etc"));
  EXPECT_EQ(Text(User("")), "0 0 [0] /");
  EXPECT_EQ(Text(User("1000", {5})), "1000 0 [0,5] /");
  EXPECT_EQ(Text(User("root")), "INVALID_ARGUMENT");
}

TEST_F(UserTest, NeverWaitsForAFifo) {
  ASSERT_EQ(unlink((root_ / "etc/group").c_str()), 0);
  ASSERT_EQ(mkfifo((root_ / "etc/group").c_str(), 0644), 0);
  EXPECT_EQ(Text(User("app")), "INVALID_ARGUMENT");
  EXPECT_EQ(Text(User("app", {}, spec::STRICT)), "1000 1000 [1000] /");
}

TEST_F(UserTest, RefusesAGiantFile) {
  File("etc/passwd", std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(Text(User("0")), "INVALID_ARGUMENT");
}

TEST_F(UserTest, SymlinksStayInTheImage) {
  ASSERT_EQ(unlink((root_ / "etc/passwd").c_str()), 0);
  // Taken from the image's root, this is missing; the host's /etc/passwd knows root.
  ASSERT_EQ(symlink("../../../../../../etc/catamaran-absent", (root_ / "etc/passwd").c_str()), 0);
  EXPECT_EQ(Text(User("root")), "INVALID_ARGUMENT");
  File("etc/real", "inside:x:5:6::/in:\n");
  ASSERT_EQ(unlink((root_ / "etc/passwd").c_str()), 0);
  ASSERT_EQ(symlink("/etc/real", (root_ / "etc/passwd").c_str()), 0);
  EXPECT_EQ(Text(User("inside")), "5 6 [6] /in");
  ASSERT_EQ(unlink((root_ / "etc/passwd").c_str()), 0);
  ASSERT_EQ(symlink("/proc/self/root/etc/passwd", (root_ / "etc/passwd").c_str()), 0);
  EXPECT_EQ(Text(User("root")), "INVALID_ARGUMENT");
}

}  // namespace
}  // namespace catamaran
