// Volumes that the kubelet makes: projected ones that follow the API, emptyDirs and their limits,
// sub-paths.
#include "e2e/scenarios/volumes_test.h"

#include <sys/stat.h>

#include <fstream>

#include "sandbox/base/files.h"
#include "vm-backend/volumes/atomic_writer_testing.h"

namespace catamaran::e2e {

void VolumeTest::WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
}

std::string VolumeTest::Made(const std::string& folder) {
  auto made = MakeDirectories(folder, 0755);
  EXPECT_TRUE(made) << made.error().message;
  return folder;
}

void VolumeTest::Mounted(const std::string& place, int result) {
  ASSERT_EQ(result, 0) << place << ": " << strerror(errno);
  mounted_.push_back(place);
}

namespace {

class ProjectedVolumes : public VolumeTest {
 protected:
  // A container with the volume at /etc/config, as the kubelet mounts it.
  v1::ContainerConfig With(const AtomicWriter& writer, const std::string& script) {
    auto config = Shell(script);
    AddMount(config, writer.folder(), "/etc/config")->set_readonly(true);
    return config;
  }
  bool Printed(const std::string& container, const std::string& text) {
    return WaitUntil(
        [&] { return TextOf(Log(container), "stdout").find(text) != std::string::npos; });
  }
};

TEST_P(ProjectedVolumes, ASwapOnTheHostWakesAWatchInTheContainerWhichSeesTheNewFiles) {
  for (const std::string plugin : {"configmap", "secret", "projected", "downward-api"}) {
    AtomicWriter writer(VolumeFolder(plugin, plugin));
    writer.Write({{"key", {"old"}}, {"gone", {"old"}}});
    const std::string id = CreateAndStart(
        pod_, With(writer,
                   "cat /etc/config/key /etc/config/gone; probe watch /etc/config ..data; "
                   "sleep 1; cat /etc/config/key; ls /etc/config; sleep 1000"));
    ASSERT_TRUE(Printed(id, "watching")) << plugin;
    writer.Write({{"key", {"new"}}, {"comes", {"new"}}});
    ASSERT_TRUE(Printed(id, "comes\nkey")) << plugin;
    EXPECT_EQ(TextOf(Log(id), "stdout"), "oldoldwatching\nmoved ..data\nnewcomes\nkey\n") << plugin;
  }
}

TEST_P(ProjectedVolumes, AReaderNeverSeesSomeOfTheOldAndSomeOfTheNew) {
  AtomicWriter writer(VolumeFolder("projected", "pair"));
  writer.Write({{"a", {"first"}}, {"b", {"first"}}});
  const std::string id =
      CreateAndStart(pod_, With(writer, "probe pairs /etc/config/..data last; sleep 1000"));
  ASSERT_TRUE(Printed(id, "reading"));
  for (int i = 0; i < 20; ++i) {
    writer.Write({{"a", {std::to_string(i)}}, {"b", {std::to_string(i)}}});
    usleep(20'000);
  }
  writer.Write({{"a", {"last"}}, {"b", {"last"}}});
  ASSERT_TRUE(Printed(id, "mixed"));
  EXPECT_EQ(TextOf(Log(id), "stdout"), "reading\n0 mixed\n");
}

TEST_P(ProjectedVolumes, ModesAndOwnersAreTheKubelets) {
  AtomicWriter writer(VolumeFolder("secret", "keys"));
  writer.Write({{"for-all", {"1", 0444}},
                {"of-group", {"2", 0440, 0, 2000}},
                {"of-user", {"3", 0400, 1000, 0}}});
  ASSERT_EQ(chown(writer.folder().c_str(), 0, 2000), 0);
  ASSERT_EQ(chmod(writer.folder().c_str(), 02755), 0);
  const std::string script =
      "cd /etc/config; stat -L -c '%n %a %u %g' . for-all of-group of-user; "
      "cat for-all; cat of-group || echo no; cat of-user || echo no; touch x || echo read-only";
  auto member = With(writer, script + " 2>/dev/null");
  RunAs(member, 1234, 1234);
  member.mutable_linux()->mutable_security_context()->add_supplemental_groups(2000);
  auto owner = With(writer, script + " 2>/dev/null");
  RunAs(owner, 1000, 1000);
  const std::string stats =
      ". 2755 0 2000\nfor-all 444 0 0\nof-group 440 0 2000\nof-user 400 1000 0\n";
  EXPECT_EQ(RunToEnd(pod_, member).out, stats + "12no\nread-only\n");
  EXPECT_EQ(RunToEnd(pod_, owner).out, stats + "1no\n3read-only\n");
}

TEST_P(ProjectedVolumes, ASubPathStaysAsItWas) {
  AtomicWriter writer(VolumeFolder("configmap", "config"));
  writer.Write({{"key", {"old"}}});
  const std::string part = SubPath(writer.folder() / "key", "config");
  auto config = With(writer, "sleep 100000");
  AddMount(config, part, "/app/key")->set_readonly(true);
  const std::string id = CreateAndStart(pod_, config);
  EXPECT_EQ(Output(id, "cat /app/key /etc/config/key"), "oldold");
  writer.Write({{"key", {"new"}}});
  EXPECT_TRUE(WaitUntil([&] { return Output(id, "cat /etc/config/key") == "new"; }));
  EXPECT_EQ(Output(id, "cat /app/key"), "old");
}

TEST_P(ProjectedVolumes, MoreThanAGuestsMemoryShouldHoldIsRefusedWithTheMount) {
  if (!on_vm()) GTEST_SKIP() << "nothing is copied";
  AtomicWriter writer(VolumeFolder("configmap", "huge"));
  writer.Write({{"key", {std::string(20 << 20, 'x')}}});
  auto created = TryCreate(pod_, With(writer, "true"));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.code(), ErrorCode::kResourceExhausted);
  EXPECT_NE(created.message().find("/etc/config"), std::string::npos) << created.message();
  EXPECT_NE(created.message().find("16777216 bytes"), std::string::npos) << created.message();
  // The pod is none the worse.
  writer.Write({{"key", {"small"}}});
  EXPECT_EQ(RunToEnd(pod_, With(writer, "cat /etc/config/key")).out, "small");
}

CATAMARAN_ON_EVERY_HANDLER(ProjectedVolumes);

class EmptyDirs : public VolumeTest {};

TEST_P(EmptyDirs, InMemoryAreSharedLiveAsLongAsThePodAndKeepTheirLimit) {
  const std::string folder = MemoryVolume("cache", "size=4m,mode=0777");
  const std::string first = Sleeper({{folder, "/cache"}}), second = Sleeper({{folder, "/other"}});
  Output(first, "echo shared > /cache/file");
  EXPECT_EQ(Output(second, "cat /other/file"), "shared\n");
  EXPECT_EQ(Output(second, "grep ' /other ' /proc/mounts | cut -d ' ' -f 3"), "tmpfs\n");
  EXPECT_EQ(Output(first, "df -k /cache | tail -1 | tr -s ' ' | cut -d ' ' -f 2"), "4096\n");
  const auto full =
      Exec(first, {"/bin/dd", "if=/dev/zero", "of=/cache/large", "bs=64k", "count=128"});
  ASSERT_TRUE(full.ok()) << full.message();
  EXPECT_NE(full->exit_code(), 0);
  EXPECT_NE(full->stderr().find("No space left"), std::string::npos) << full->stderr();
  EXPECT_EQ(Output(second, "rm /other/large; echo more > /other/file; cat /other/file"), "more\n");
  for (const std::string& id : {first, second}) {
    v1::RemoveContainerRequest remove;
    remove.set_container_id(id);
    ASSERT_TRUE(cri().RemoveContainer(remove).ok());
  }
  EXPECT_EQ(Output(Sleeper({{folder, "/cache"}}), "cat /cache/file"), "more\n");
  if (on_vm()) {
    EXPECT_TRUE(std::filesystem::is_empty(folder)) << "it is the guest's memory";
  }
}

TEST_P(EmptyDirs, ASubPathInMemoryIsAPartOfTheWhole) {
  const std::string folder = MemoryVolume("scratch", "size=4m,mode=02777,gid=2000");
  Made(folder + "/a/b");
  const std::string part = SubPath(folder + "/a/b", "scratch");
  const std::string second = Sleeper({{part, "/part"}}), first = Sleeper({{folder, "/whole"}});
  Output(second, "echo from-part > /part/file");
  EXPECT_EQ(Output(first, "cat /whole/a/b/file"), "from-part\n");
  Output(first, "echo from-whole > /whole/a/b/file");
  EXPECT_EQ(Output(second, "cat /part/file; ls -a /part/.. | grep -c whole || true"),
            "from-whole\n0\n");
}

TEST_P(EmptyDirs, BelongToThePodsGroup) {
  // As the kubelet does for fsGroup.
  const std::string memory = MemoryVolume("memory", "size=4m,mode=02777,gid=2000");
  const std::string disk = VolumeFolder("empty-dir", "disk");
  ASSERT_EQ(chown(disk.c_str(), 0, 2000), 0);
  ASSERT_EQ(chmod(disk.c_str(), 02777), 0);
  auto config = Shell(
      "for v in /memory /disk; do stat -c '%a %u %g' $v; touch $v/f; mkdir $v/d; "
      "stat -c '%u %g' $v/f; stat -c '%A %u %g' $v/d; done");
  RunAs(config, 1234, 1234);
  config.mutable_linux()->mutable_security_context()->add_supplemental_groups(2000);
  AddMount(config, memory, "/memory");
  AddMount(config, disk, "/disk");
  const std::string one = "2777 0 2000\n1234 2000\ndrwxr-sr-x 1234 2000\n";
  EXPECT_EQ(RunToEnd(pod_, config).out, one + one);
}

TEST_P(EmptyDirs, OnDiskAreSharedAndTheKubeletSeesWhatTheyHold) {
  const std::string folder = VolumeFolder("empty-dir", "data");
  ASSERT_EQ(chmod(folder.c_str(), 0777), 0);
  Made(folder + "/part");
  const std::string part = SubPath(folder + "/part", "data");
  const std::string first = Sleeper({{folder, "/data"}});
  const std::string second = Sleeper({{folder, "/other"}, {part, "/part"}});
  Output(first, "dd if=/dev/zero of=/data/large bs=1M count=3 2>/dev/null; sync");
  EXPECT_EQ(Output(second, "stat -c %s /other/large"), "3145728\n");
  Output(second, "echo below > /part/file");
  EXPECT_TRUE(WaitUntil([&] { return Output(first, "cat /data/part/file") == "below\n"; }));
  // By which it evicts a pod that is over its sizeLimit.
  EXPECT_EQ(std::filesystem::file_size(folder + "/large"), 3u << 20);
}

CATAMARAN_ON_EVERY_HANDLER(EmptyDirs);

}  // namespace
}  // namespace catamaran::e2e
