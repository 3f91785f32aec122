// What a container finds in its file system.
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "sandbox/backend/engine_fixture.h"

namespace catamaran {
namespace {

namespace fs = std::filesystem;

using FilesOfAContainer = EngineTest;
using Mounts = EngineTest;
using Devices = EngineTest;

spec::Mount BindMount(const std::string& container_path, const fs::path& host_path) {
  spec::Mount mount;
  mount.set_container_path(container_path);
  mount.set_host_path(host_path);
  return mount;
}

void WriteText(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST_F(FilesOfAContainer, TheUsualMountsAreThere) {
  CreateSandbox();
  auto report = Run(std::vector<std::string>{
      "pid", "stat:/proc/self", "mount-options:/proc", "mount-options:/sys", "mount-options:/dev",
      "mount-options:/dev/pts", "mount-options:/dev/shm", "mount-options:/dev/mqueue",
      "mount-options:/sys/fs/cgroup", "list:/dev", "stat:/dev/null", "lstat:/dev/ptmx",
      "open-write:/sys/kernel/mm/ksm/run", "stat:/dev/shm"});
  EXPECT_EQ(report["pid"], "1");
  EXPECT_EQ(report["mount-options /proc"], "rw,nosuid,nodev,noexec,relatime");
  EXPECT_EQ(report["mount-options /sys"], "ro,nosuid,nodev,noexec,relatime");
  EXPECT_EQ(report["mount-options /dev"], "rw,nosuid");
  EXPECT_EQ(report["mount-options /dev/pts"], "rw,nosuid,noexec,relatime");
  EXPECT_EQ(report["mount-options /dev/shm"], "rw,nosuid,nodev,noexec,relatime");
  EXPECT_EQ(report["mount-options /dev/mqueue"], "rw,nosuid,nodev,noexec,relatime");
  EXPECT_NE(report["mount-options /sys/fs/cgroup"], "none");
  EXPECT_EQ(report["list /dev"],
            "fd,full,mqueue,null,ptmx,pts,random,shm,stderr,stdin,stdout,tty,urandom,zero");
  EXPECT_EQ(report["stat /dev/null"], "char 666 0:0 1:3");
  EXPECT_EQ(report["lstat /dev/ptmx"], "link 777 0:0 0:0");
  EXPECT_EQ(report["stat /dev/shm"], "dir 1777 0:0 0:0");
}

TEST_F(FilesOfAContainer, NothingOfTheMachineIsMountedInIt) {
  CreateSandbox();
  auto report = Run(std::vector<std::string>{"list:/", "read:/proc/self/mountinfo"});
  EXPECT_EQ(report["list /"], "dev,etc,probe,proc,sys");
  std::string text = report["read /proc/self/mountinfo"];
  std::replace(text.begin(), text.end(), '|', '\n');
  std::istringstream lines(text);
  std::string line;
  std::set<std::string> mount_points;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string id, parent, device, root, mount_point;
    fields >> id >> parent >> device >> root >> mount_point;
    if (mount_point.rfind("/sys/fs/cgroup", 0) != 0) mount_points.insert(mount_point);
  }
  EXPECT_EQ(mount_points,
            (std::set<std::string>{"/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue",
                                   "/sys", "/etc/hosts", "/etc/hostname"}));
}

TEST_F(FilesOfAContainer, TheSandboxsFilesAreThereUnlessAMountCoversThem) {
  CreateSandbox();
  WriteText(folder_ / "mine/hosts", "1.2.3.4 mine");
  auto spec =
      ProbeSpec("one", {"read:/etc/hosts", "read:/etc/hostname", "hostname", "stat:/etc/hostname"});
  *spec.add_mounts() = BindMount("/etc/hosts", folder_ / "mine/hosts");
  auto report = Run(spec);
  EXPECT_EQ(report["read /etc/hosts"], "1.2.3.4 mine");
  EXPECT_EQ(report["read /etc/hostname"], "pod-host");
  EXPECT_EQ(report["hostname"], "pod-host");
  EXPECT_EQ(report["stat /etc/hostname"], "file 644 0:0 0:0");
}

TEST_F(FilesOfAContainer, SharedMemoryIsSharedByThePodAndBounded) {
  auto sandbox = SandboxSpec();
  sandbox.set_shm_size_bytes(1 << 20);
  CreateSandbox(sandbox);
  EXPECT_EQ(Run({"write:/dev/shm/note:hello"})["write /dev/shm/note"], "ok");
  EXPECT_EQ(Run({"read:/dev/shm/note"})["read /dev/shm/note"], "hello");
  auto report = Run({"read:/proc/self/mountinfo"});
  EXPECT_NE(report["read /proc/self/mountinfo"].find("size=1024k"), std::string::npos);
}

TEST_F(FilesOfAContainer, NamespacesAreThoseOfThePodAndNotTheMachines) {
  CreateSandbox();
  const std::vector<std::string> words = {"ns:net", "ns:ipc", "ns:uts", "ns:mnt", "ns:pid"};
  // Both at once: the numbers of namespaces that are gone are used again.
  StartForever("first", words);
  auto second = Run(words);
  ASSERT_TRUE(Signal("first", SIGKILL));
  auto first = ParseReport(Stdout("first"));
  for (const char* name : {"net", "ipc", "uts"}) {
    const std::string key = std::string("ns ") + name;
    EXPECT_EQ(first[key], second[key]);
    EXPECT_NE(first[key], fs::read_symlink(std::string("/proc/self/ns/") + name).string());
  }
  for (const char* name : {"mnt", "pid"}) {
    const std::string key = std::string("ns ") + name;
    const std::string machines = fs::read_symlink(std::string("/proc/self/ns/") + name).string();
    EXPECT_NE(first[key], machines);
    EXPECT_NE(second[key], machines);
    EXPECT_NE(first[key], second[key]);
  }
}

TEST_F(FilesOfAContainer, APodOfTheNodeSharesItsNamespaces) {
  fs::create_directories("/dev/shm");  // a machine with nothing on it has none
  auto sandbox = SandboxSpec();
  sandbox.set_network(spec::NODE);
  sandbox.clear_network_namespace();
  sandbox.set_ipc(spec::NODE);
  CreateSandbox(sandbox);
  auto report = Run({"ns:net", "ns:ipc", "ns:uts"});
  for (const char* name : {"net", "ipc", "uts"})
    EXPECT_EQ(report[std::string("ns ") + name],
              fs::read_symlink(std::string("/proc/self/ns/") + name).string());
}

TEST_F(FilesOfAContainer, WritesGoToTheWritableLayerAndNeverToTheImage) {
  CreateSandbox();
  WriteText(MakeImage("probe") / "etc/config", "image");
  auto report = Run(ProbeSpec("one", {"write:/etc/config:+more", "read:/etc/config"}));
  EXPECT_EQ(report["read /etc/config"], "image+more");
  EXPECT_EQ(ReadFile(MakeImage("probe") / "etc/config").value(), "image");
  EXPECT_EQ(Run(ProbeSpec("two", {"read:/etc/config"}))["read /etc/config"], "image");
}

TEST_F(FilesOfAContainer, TheRootHasOwnerAndModeOfTheImages) {
  CreateSandbox();
  const auto image = MakeImage("probe");
  ASSERT_EQ(chmod(image.c_str(), 0711), 0);
  ASSERT_EQ(chown(image.c_str(), 7, 8), 0);
  EXPECT_EQ(Run({"stat:/"})["stat /"], "dir 711 7:8 0:0");
}

TEST_F(FilesOfAContainer, AReadOnlyRootIsReadOnlyAndItsMountsAreNot) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"write:/file:x", "mkdir:/etc/x", "write:/volume/file:x",
                                "write:/dev/shm/file:x", "open-write:/etc/hosts", "cwd"});
  spec.mutable_rootfs()->set_readonly(true);
  spec.mutable_process()->set_cwd("/made/for/it");
  fs::create_directories(folder_ / "volume");
  *spec.add_mounts() = BindMount("/volume", folder_ / "volume");
  auto report = Run(spec);
  EXPECT_EQ(report["write /file"], "EROFS");
  EXPECT_EQ(report["mkdir /etc/x"], "EROFS");
  EXPECT_EQ(report["open-write /etc/hosts"], "EROFS");
  EXPECT_EQ(report["write /volume/file"], "ok");
  EXPECT_EQ(report["write /dev/shm/file"], "ok");
  EXPECT_EQ(report["cwd"], "/made/for/it");
}

TEST_F(Mounts, FoldersAndFilesOfTheHostAreBound) {
  CreateSandbox();
  WriteText(folder_ / "volume/file", "content");
  WriteText(folder_ / "single", "one file");
  fs::create_directory_symlink(folder_ / "volume", folder_ / "link");
  auto spec = ProbeSpec(
      "one", {"read:/rw/file", "write:/rw/new:x", "open-write:/ro/file", "read:/deep/er/single",
              "read:/by-link/file", "mkdir:/missing/x", "mount-options:/hard"});
  *spec.add_mounts() = BindMount("/rw", folder_ / "volume");
  *spec.add_mounts() = BindMount("/ro", folder_ / "volume");
  spec.mutable_mounts(1)->set_readonly(true);
  *spec.add_mounts() = BindMount("/deep/er/single", folder_ / "single");
  *spec.add_mounts() = BindMount("/by-link", folder_ / "link");
  *spec.add_mounts() = BindMount("/missing", folder_ / "made/by/us");
  *spec.add_mounts() = BindMount("/hard", folder_ / "volume");
  for (const char* option : {"noexec", "nodev", "nosuid"})
    spec.mutable_mounts(5)->add_options(option);
  auto report = Run(spec);
  EXPECT_EQ(report["read /rw/file"], "content");
  EXPECT_EQ(ReadFile(folder_ / "volume/new").value(), "x");
  EXPECT_EQ(report["open-write /ro/file"], "EROFS");
  EXPECT_EQ(report["read /deep/er/single"], "one file");
  EXPECT_EQ(report["read /by-link/file"], "content");
  EXPECT_TRUE(fs::is_directory(folder_ / "made/by/us/x"));
  EXPECT_EQ(report["mount-options /hard"].substr(0, 23), "rw,nosuid,nodev,noexec,");
}

TEST_F(Mounts, RecursiveReadOnlyCoversMountsBelowAndPlainDoesNot) {
  CreateSandbox();
  fs::create_directories(folder_ / "volume/below");
  ASSERT_EQ(mount("below", (folder_ / "volume/below").c_str(), "tmpfs", 0, ""), 0);
  auto spec = ProbeSpec("one", {"mkdir:/plain/x", "mkdir:/plain/below/x", "mkdir:/all/below/y"});
  *spec.add_mounts() = BindMount("/plain", folder_ / "volume");
  spec.mutable_mounts(0)->set_readonly(true);
  *spec.add_mounts() = BindMount("/all", folder_ / "volume");
  spec.mutable_mounts(1)->set_readonly(true);
  spec.mutable_mounts(1)->set_recursive_readonly(true);
  auto report = Run(spec);
  EXPECT_EQ(report["mkdir /plain/x"], "EROFS");
  EXPECT_EQ(report["mkdir /plain/below/x"], "ok");
  EXPECT_EQ(report["mkdir /all/below/y"], "EROFS");
  ASSERT_EQ(umount2((folder_ / "volume/below").c_str(), MNT_DETACH), 0);
}

TEST_F(Mounts, TmpfsAndImagesAreMounted) {
  CreateSandbox();
  WriteText(folder_ / "other/sub/file", "of another image");
  auto spec = ProbeSpec("one", {"write:/scratch/x:y", "stat:/scratch", "read:/image/sub/file",
                                "open-write:/image/sub/file", "list:/part", "read:/merged/top",
                                "read:/merged/sub/file"});
  auto* scratch = spec.add_mounts();
  scratch->set_container_path("/scratch");
  scratch->mutable_tmpfs()->set_mode(01777);
  scratch->mutable_tmpfs()->set_size_bytes(1 << 20);
  for (const char* path : {"/image", "/part", "/merged"}) {
    auto* image = spec.add_mounts();
    image->set_container_path(path);
    image->set_readonly(true);
    image->mutable_image()->mutable_rootfs()->add_lower_directories(folder_ / "other");
  }
  spec.mutable_mounts(2)->mutable_image()->set_sub_path("sub");
  WriteText(folder_ / "top/top", "upper layer");
  spec.mutable_mounts(3)->mutable_image()->mutable_rootfs()->add_lower_directories(folder_ / "top");
  auto report = Run(spec);
  EXPECT_EQ(report["write /scratch/x"], "ok");
  EXPECT_EQ(report["stat /scratch"], "dir 1777 0:0 0:0");
  EXPECT_EQ(report["read /image/sub/file"], "of another image");
  EXPECT_EQ(report["open-write /image/sub/file"], "EROFS");
  EXPECT_EQ(report["list /part"], "file");
  EXPECT_EQ(report["read /merged/top"], "upper layer");
  EXPECT_EQ(report["read /merged/sub/file"], "of another image");
}

TEST_F(Mounts, AMissingPartOfAnImageIsRefusedByNameAndIsTheErrorsSubject) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {});
  auto* image = spec.add_mounts();
  image->set_container_path("/image");
  image->set_readonly(true);
  image->mutable_image()->mutable_rootfs()->add_lower_directories(MakeImage("probe"));
  image->mutable_image()->set_sub_path("no/such/part");
  auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(created.error().message.find("no/such/part"), std::string::npos);
  EXPECT_EQ(created.error().subject, ErrorSubject::kImageVolume);
}

TEST_F(Mounts, WhatElseCannotBeMountedIsNotTakenForAnImage) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {});
  *spec.add_mounts() = BindMount("/probe/below", folder_ / "volume");
  auto created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().subject, ErrorSubject::kUnnamed) << created.error().message;
  spec = ProbeSpec("two", {});
  spec.mutable_rootfs()->add_lower_directories(folder_ / "no/such/layer");
  created = Create(spec);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().subject, ErrorSubject::kUnnamed) << created.error().message;
}

// A shared mount on `folder`, in the tests' own mount namespace.
void MakeShared(const fs::path& folder) {
  fs::create_directories(folder);
  ASSERT_EQ(mount("shared", folder.c_str(), "tmpfs", 0, ""), 0);
  ASSERT_EQ(mount("", folder.c_str(), "", MS_SHARED, nullptr), 0);
}

TEST_F(Mounts, PropagationIsAsAskedFor) {
  CreateSandbox();
  MakeShared(folder_ / "volume");
  fs::create_directories(folder_ / "volume/from-host");
  fs::create_directories(folder_ / "volume/from-container");
  auto spec = ProbeSpec("one", {"echo:ready", "wait-file:/private/go", "list:/private/from-host",
                                "list:/slave/from-host", "mount-tmpfs:/both/from-container",
                                "echo:mounted", "forever"});
  spec.mutable_process()->mutable_capabilities()->add_bounding("CAP_SYS_ADMIN");
  *spec.add_mounts() = BindMount("/private", folder_ / "volume");
  *spec.add_mounts() = BindMount("/slave", folder_ / "volume");
  spec.mutable_mounts(1)->set_propagation(spec::HOST_TO_CONTAINER);
  *spec.add_mounts() = BindMount("/both", folder_ / "volume");
  spec.mutable_mounts(2)->set_propagation(spec::BIDIRECTIONAL);
  ASSERT_TRUE(Create(spec));
  ASSERT_TRUE(Start("one"));
  WaitForOutput("one", "echo=ready");
  ASSERT_EQ(mount("x", (folder_ / "volume/from-host").c_str(), "tmpfs", 0, ""), 0);
  WriteText(folder_ / "volume/from-host/seen", "");
  WriteText(folder_ / "volume/go", "");
  WaitForOutput("one", "echo=mounted");
  const auto mounts = ReadFile("/proc/self/mountinfo").value();
  EXPECT_NE(mounts.find("/volume/from-container "), std::string::npos);
  ASSERT_TRUE(Signal("one", SIGKILL));
  auto report = ParseReport(Stdout("one"));
  EXPECT_EQ(report["list /private/from-host"], "");
  EXPECT_EQ(report["list /slave/from-host"], "seen");
  EXPECT_EQ(report["mount-tmpfs"], "ok");
  ASSERT_TRUE(Remove("one"));
  for (const char* path : {"volume/from-container", "volume/from-host", "volume"})
    EXPECT_EQ(umount2((folder_ / path).c_str(), MNT_DETACH), 0) << path;
}

TEST_F(Mounts, PropagationThatTheSourceCannotGiveIsRefused) {
  CreateSandbox();
  fs::create_directories(folder_ / "volume");
  for (const auto propagation : {spec::HOST_TO_CONTAINER, spec::BIDIRECTIONAL}) {
    auto spec = ProbeSpec("one", {});
    *spec.add_mounts() = BindMount("/volume", folder_ / "volume");
    spec.mutable_mounts(0)->set_propagation(propagation);
    auto created = Create(spec);
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_NE(created.error().message.find("mounts[0]"), std::string::npos);
  }
}

TEST_F(Devices, AreMadeAndAllowedAsAskedAndOthersAreNot) {
  CreateSandbox();
  auto spec =
      ProbeSpec("one", {"stat:/dev/my/full", "open-write:/dev/my/full", "mknod:/dev/kmsg2:1:11",
                        "open-write:/dev/kmsg2", "open-write:/dev/null"});
  auto* device = spec.add_devices();
  device->set_host_path("/dev/full");
  device->set_container_path("/dev/my/full");
  device->set_permissions("rw");
  auto report = Run(spec);
  EXPECT_EQ(report["stat /dev/my/full"].substr(0, 4), "char");
  EXPECT_NE(report["stat /dev/my/full"].find("1:7"), std::string::npos);
  EXPECT_EQ(report["open-write /dev/my/full"], "ok");
  EXPECT_EQ(report["mknod /dev/kmsg2"], "ok");
  EXPECT_EQ(report["open-write /dev/kmsg2"], "EPERM");
  EXPECT_EQ(report["open-write /dev/null"], "ok");
}

TEST_F(Devices, HaveTheOwnerModeAndNumbersThatTheSpecGivesThem) {
  CreateSandbox();
  auto spec = ProbeSpec("one", {"stat:/dev/numbered", "stat:/dev/mine", "stat:/dev/pipe",
                                "open-write:/dev/numbered", "open-write:/dev/closed"});
  spec.mutable_process()->mutable_user()->set_user("1000:1001");
  auto* numbered = spec.add_devices();
  numbered->set_host_path("/not/there");
  numbered->set_container_path("/dev/numbered");
  numbered->set_type("c");
  numbered->set_major_number(1);
  numbered->set_minor_number(7);
  numbered->set_file_mode(0622);
  numbered->set_owner_uid(5);
  auto* mine = spec.add_devices();
  mine->set_host_path("/dev/full");
  mine->set_container_path("/dev/mine");
  mine->set_file_mode(0600);
  mine->set_owned_by_user(true);
  auto* pipe = spec.add_devices();
  pipe->set_host_path("/dev/pipe");
  pipe->set_container_path("/dev/pipe");
  pipe->set_type("p");
  pipe->set_owner_uid(0);
  pipe->set_owned_by_user(true);
  auto* closed = spec.add_devices();
  closed->set_container_path("/dev/closed");
  closed->set_host_path("/dev/closed");
  closed->set_type("c");
  closed->set_major_number(1);
  closed->set_minor_number(11);
  closed->set_no_access(true);
  auto report = Run(spec);
  EXPECT_EQ(report["stat /dev/numbered"], "char 622 5:0 1:7");
  EXPECT_EQ(report["stat /dev/mine"], "char 600 1000:1001 1:7");
  EXPECT_EQ(report["stat /dev/pipe"], "other 666 0:1001 0:0");
  EXPECT_EQ(report["open-write /dev/numbered"], "ok");
  EXPECT_EQ(report["open-write /dev/closed"], "EPERM");
}

TEST_F(Devices, APrivilegedContainerHasTheMachines) {
  auto sandbox = SandboxSpec();
  sandbox.set_privileged(true);
  CreateSandbox(sandbox);
  auto spec = ProbeSpec("one", {"mknod:/dev/kmsg2:1:11", "open-write:/dev/kmsg2", "stat:/dev/zero",
                                "mount-options:/sys"});
  spec.set_privileged(true);
  spec.set_all_devices(true);
  spec.mutable_process()->mutable_capabilities()->set_all(true);
  auto report = Run(spec);
  EXPECT_EQ(report["open-write /dev/kmsg2"], "ok");
  EXPECT_EQ(report["stat /dev/zero"].substr(0, 8), "char 666");
  EXPECT_EQ(report["mount-options /sys"], "rw,nosuid,nodev,noexec,relatime");
}

}  // namespace
}  // namespace catamaran
