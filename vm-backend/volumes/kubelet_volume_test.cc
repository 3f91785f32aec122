#include "vm-backend/volumes/kubelet_volume.h"

#include <gtest/gtest.h>

namespace catamaran {
namespace {

TEST(KubeletVolume, IsKnownByItsPathWhateverTheKubeletsRootIs) {
  for (const std::string root : {"/var/lib/kubelet", "/srv/k", ""}) {
    const auto volume =
        ParseKubeletPath(root + "/pods/5f3a/volumes/kubernetes.io~projected/kube-api-access-x");
    ASSERT_TRUE(volume) << root;
    EXPECT_EQ(volume->pod_folder, root + "/pods/5f3a");
    EXPECT_EQ(volume->plugin, "projected");
    EXPECT_EQ(volume->name, "kube-api-access-x");
    EXPECT_FALSE(volume->is_sub_path());
  }
}

TEST(KubeletVolume, ASubPathNamesItsVolume) {
  const auto volume = ParseKubeletPath("/var/lib/kubelet/pods/5f3a/volume-subpaths/cache/main/2");
  ASSERT_TRUE(volume);
  EXPECT_TRUE(volume->is_sub_path());
  EXPECT_EQ(volume->pod_folder, "/var/lib/kubelet/pods/5f3a");
  EXPECT_EQ(volume->name, "cache");
}

TEST(KubeletVolume, OtherPathsAreNone) {
  for (const char* path :
       {"/", "/etc", "/pods/volumes/kubernetes.io~secret/x", "/a/pods/1/volumes/csi/x",
        "/a/pods/1/volumes/kubernetes.io~csi/x/mount", "/a/pods/1/etc-hosts",
        "/a/pods/1/volume-subpaths/x/0", "/a/pods/../volumes/kubernetes.io~secret/x"})
    EXPECT_FALSE(ParseKubeletPath(path)) << path;
}

TEST(KubeletVolume, TheRootOfAMountIsReadFromTheTable) {
  const std::string table =
      "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
      "57 21 0:44 /below/with\\040blank /k/pods/1/volume-subpaths/v/c/0 rw - tmpfs tmpfs rw\n";
  EXPECT_EQ(RootOfMount(table, 57), "/below/with blank");
  EXPECT_EQ(RootOfMount(table, 21), "/");
  EXPECT_EQ(RootOfMount(table, 5), std::nullopt);
  EXPECT_EQ(RootOfMount("", 5), std::nullopt);
}

}  // namespace
}  // namespace catamaran
