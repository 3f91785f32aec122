#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "cri/config/writable_layers.h"
#include "cri/images/image_policy.h"
#include "cri/service/directory_lock.h"
#include "cri/service/log.h"
#include "cri/service/readiness.h"
#include "cri/service/runtime_calls.h"
#include "sandbox/base/files.h"

namespace catamaran {
namespace {

// A store that holds what a test puts in, for the calls' own work: shape and validation.
class ListedImages final : public ImageStore {
 public:
  std::vector<Image> images;
  std::vector<std::string> removed;
  std::string forbidden;
  std::string config_text = "{}";

  Result<std::vector<Image>> Load(const HostPath&, const LoadOptions&) override { return images; }
  Result<Image> Add(const IncomingImage&, const LoadOptions&) override { return images.at(0); }
  Result<std::vector<Image>> List() override { return images; }
  Result<std::optional<Image>> Find(const std::string& reference) override {
    if (reference == "UPPER") return Fail(ErrorCode::kInvalidArgument, "no reference");
    for (const Image& image : images) {
      if (image.id == reference) return image;
    }
    return std::nullopt;
  }
  Result<std::string> ConfigText(const std::string&) override { return config_text; }
  Status Admit(const Image&, const std::string& reference) override {
    if (reference != forbidden) return {};
    return Forbidden("no");
  }
  Status Remove(const std::string& reference) override {
    removed.push_back(reference);
    return {};
  }
  Result<spec::RootfsSpec> Lease(const std::string&, const std::string&, RootfsKind) override {
    return spec::RootfsSpec();
  }
  Status DropLease(const std::string&) override { return {}; }
  Status DropLeasesExcept(const std::vector<std::string>&) override { return {}; }
  Result<Usage> DiskUsage() override { return Usage{HostPath("/var/images"), 42, 7}; }
};

Config DefaultConfig() { return *ParseConfig("", "test", {HostPath("/opt/bin")}); }

class TestFolder {
 public:
  TestFolder() : path_(testing::TempDir() + "/service-" + std::to_string(getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  HostPath path() const { return HostPath(path_); }

 private:
  std::string path_;
};

// The network of a node that has none yet.
class AbsentNetwork final : public PodNetwork {
 public:
  AbsentNetwork(std::string reason, std::string message)
      : readiness_{false, std::move(reason), std::move(message)} {}

  Readiness ready() const override { return readiness_; }
  Result<PodNetworkResult> Attach(const PodNetworkRequest&, Deadline) override {
    return Fail(ErrorCode::kUnavailable, "{}: {}", readiness_.reason, readiness_.message);
  }
  Status Detach(const PodId&, Deadline) override { return {}; }
  Status DetachExcept(const std::vector<PodId>&, Deadline) override { return {}; }
  Status SetPodCidr(const std::string&) override { return {}; }

 private:
  const Readiness readiness_;
};

TEST(VersionCall, SaysWhatTheKubeletInsistsOn) {
  auto version = GetVersion({}, {});
  ASSERT_TRUE(version);
  EXPECT_EQ(version->version(), "0.1.0");
  EXPECT_EQ(version->runtime_name(), "catamaran");
  EXPECT_EQ(version->runtime_api_version(), "v1");
  EXPECT_FALSE(version->runtime_version().empty());
}

TEST(StatusCall, NamesEveryHandlerAndTheDefaultByTheEmptyName) {
  auto status = GetStatus({}, {}, DefaultConfig(), AbsentNetwork("Reason", "why"));
  ASSERT_TRUE(status);
  std::vector<std::string> names;
  for (const auto& handler : status->runtime_handlers()) names.push_back(handler.name());
  EXPECT_EQ(names, (std::vector<std::string>{"", "ns", "vm"}));
  EXPECT_TRUE(status->runtime_handlers(1).features().recursive_read_only_mounts());
  EXPECT_TRUE(status->runtime_handlers(2).features().recursive_read_only_mounts());
  // An administrator may have forbidden them.
  const bool users = *ReadFile("/proc/sys/user/max_user_namespaces") != "0\n";
  EXPECT_EQ(status->runtime_handlers(1).features().user_namespaces(), users);
  EXPECT_FALSE(status->runtime_handlers(2).features().user_namespaces()) << "volumes of a VM";
  EXPECT_EQ(status->features().user_namespaces_host_network(), users);
  EXPECT_TRUE(status->info().empty());
}

TEST(StatusCall, PassesTheNetworksReasonOn) {
  auto status = GetStatus({}, {}, DefaultConfig(), AbsentNetwork("NetworkPluginNotReady", "why"));
  ASSERT_TRUE(status);
  ASSERT_EQ(status->status().conditions_size(), 2);
  EXPECT_TRUE(status->status().conditions(0).status());
  EXPECT_FALSE(status->status().conditions(1).status());
  EXPECT_EQ(status->status().conditions(1).reason(), "NetworkPluginNotReady");
}

TEST(StatusCall, IsJsonWhenVerbose) {
  v1::StatusRequest request;
  request.set_verbose(true);
  auto status = GetStatus(request, {}, DefaultConfig(), AbsentNetwork("", ""));
  ASSERT_TRUE(status);
  const auto details = nlohmann::json::parse(status->info().at("info"));
  EXPECT_EQ(details["defaultHandler"], "ns");
  EXPECT_EQ(details["handlers"].size(), 2u);
}

TEST(RuntimeConfigCall, NamesTheCgroupDriverThatIsNotTheEnumsDefault) {
  Config config;
  EXPECT_EQ(GetRuntimeConfig({}, {}, config)->linux().cgroup_driver(), v1::CGROUPFS);
  config.cgroup_driver = CgroupDriver::kSystemd;
  EXPECT_EQ(GetRuntimeConfig({}, {}, config)->linux().cgroup_driver(), v1::SYSTEMD);
}

TEST(ImageCalls, SplitTheUserAsTheKubeletReadsIt) {
  ListedImages store;
  for (const char* user : {"1000:50", "www-data:staff", ""}) {
    Image image;
    image.id = user;
    image.config.user = user;
    store.images.push_back(image);
  }
  auto list = ListImages({}, {}, store);
  ASSERT_TRUE(list);
  ASSERT_EQ(list->images_size(), 3);
  EXPECT_EQ(list->images(0).uid().value(), 1000);
  EXPECT_EQ(list->images(0).username(), "");
  EXPECT_FALSE(list->images(1).has_uid());
  EXPECT_EQ(list->images(1).username(), "www-data");
  EXPECT_FALSE(list->images(2).has_uid());
  EXPECT_GT(list->images(2).size(), 0u);
}

TEST(ImageCalls, FilterTheList) {
  ListedImages store;
  store.images.resize(2);
  store.images[0].id = "a";
  store.images[1].id = "b";
  v1::ListImagesRequest request;
  request.mutable_filter()->mutable_image()->set_image("b");
  EXPECT_EQ(ListImages(request, {}, store)->images_size(), 1);
  request.mutable_filter()->mutable_image()->set_image("c");
  EXPECT_EQ(ListImages(request, {}, store)->images_size(), 0);
}

TEST(ImageCalls, StreamsSayWhatTheListSays) {
  ListedImages store;
  store.images.resize(2);
  store.images[0].id = "a";
  store.images[0].repo_tags = {"a:1"};
  store.images[0].repo_digests = {"a@sha256:1"};
  store.images[1].id = "b";
  store.images[1].pinned = true;
  std::vector<v1::Image> streamed;
  const StreamWriter<v1::StreamImagesResponse> writer{
      [] {},
      [&](const v1::StreamImagesResponse& message) {
        streamed.insert(streamed.end(), message.images().begin(), message.images().end());
        return true;
      }};
  ASSERT_TRUE(StreamImages({}, {}, store, writer));
  const auto list = ListImages({}, {}, store);
  ASSERT_EQ(streamed.size(), 2u);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(streamed[static_cast<size_t>(i)].SerializeAsString(),
              list->images(i).SerializeAsString());
  EXPECT_FALSE(list->images(0).pinned());
  EXPECT_TRUE(list->images(1).pinned());
}

TEST(ImageCalls, AnswerNothingForAnImageThatIsNotThere) {
  ListedImages store;
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image("absent");
  auto status = ImageStatus(request, {}, store);
  ASSERT_TRUE(status);
  EXPECT_FALSE(status->has_image());
}

TEST(ImageCalls, TellTheWholeConfigurationAndWhatTheDiskHoldsWhereAskedTo) {
  ListedImages store;
  store.images.resize(1);
  store.images[0].id = "a";
  store.images[0].size_bytes = 1003;
  store.images[0].layers = {{"sha256:1", 700, 2}, {"sha256:2", 300, 1}};
  store.config_text = R"({"created":"2026-01-01T00:00:00Z","config":{"Env":["A=b"]},"history":[]})";
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image("a");
  EXPECT_TRUE(ImageStatus(request, {}, store)->info().empty());
  request.set_verbose(true);
  const auto info = nlohmann::json::parse(ImageStatus(request, {}, store)->info().at("info"));
  EXPECT_EQ(info["imageSpec"], nlohmann::json::parse(store.config_text));
  EXPECT_EQ(info["disk"]["bytes"], 1003);
  EXPECT_EQ(info["disk"]["sharedBytes"], 700);
  EXPECT_EQ(info["disk"]["layers"][1]["bytes"], 300);
}

TEST(ImageCalls, AnImageThatThePolicyForbidsIsNotThereForWhoAsksByItsNameButListed) {
  ListedImages store;
  store.images.resize(1);
  store.images[0].id = "a";
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image("a");
  EXPECT_TRUE(ImageStatus(request, {}, store)->has_image());
  store.forbidden = "a";
  EXPECT_FALSE(ImageStatus(request, {}, store)->has_image());
  EXPECT_EQ(ListImages({}, {}, store)->images_size(), 1);
}

TEST(ImageCalls, RefuseARequestWithoutAnImage) {
  ListedImages store;
  for (const auto& error :
       {ImageStatus({}, {}, store).error(), RemoveImage({}, {}, store).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(error.message.find("image.image: ''"), std::string::npos) << error.message;
  }
  EXPECT_TRUE(store.removed.empty());
}

TEST(ImageCalls, ReportUsageOnAFolderThatCanBeLookedAt) {
  ListedImages store;
  auto usage = ImageFsInfo({}, {}, Config(), store);
  ASSERT_TRUE(usage);
  ASSERT_EQ(usage->image_filesystems_size(), 1);
  EXPECT_EQ(usage->image_filesystems(0).fs_id().mountpoint(), "/var/images");
  EXPECT_EQ(usage->image_filesystems(0).used_bytes().value(), 42u);
  EXPECT_GT(usage->image_filesystems(0).timestamp(), 0);
}

TEST(ImageCalls, ReportTheFileSystemOfThePodsWhereItIsAnother) {
  TestFolder folder;
  ListedImages store;
  Config config;
  config.root = folder.path();
  ASSERT_TRUE(MakeDirectories(ImagesFolder(config).value()));
  ASSERT_TRUE(MakeDirectories(PodsFolder(config).value()));
  EXPECT_EQ(ImageFsInfo({}, {}, config, store)->container_filesystems_size(), 0);
  struct stat here, there;
  if (stat("/dev/shm", &there) != 0 || stat(folder.path().c_str(), &here) != 0 ||
      here.st_dev == there.st_dev)
    GTEST_SKIP() << "/dev/shm is no other file system";
  ASSERT_TRUE(RemoveIfExists(PodsFolder(config).value()));
  std::filesystem::create_directory_symlink("/dev/shm", PodsFolder(config).value());
  const auto usage = ImageFsInfo({}, {}, config, store);
  ASSERT_EQ(usage->container_filesystems_size(), 1);
  EXPECT_EQ(usage->container_filesystems(0).fs_id().mountpoint(), PodsFolder(config).string());
  EXPECT_GT(usage->container_filesystems(0).timestamp(), 0);
  EXPECT_TRUE(usage->container_filesystems(0).has_used_bytes());
  EXPECT_TRUE(usage->container_filesystems(0).has_inodes_used());
}

TEST(DirectoryLock, IsHeldByOneAndNamesIt) {
  TestFolder folder;
  {
    auto first = DirectoryLock::Take(folder.path(), "unix:///x", Deadline::After({}));
    ASSERT_TRUE(first) << first.error().message;
    // Does not wait for a daemon, however patient.
    auto second = DirectoryLock::Take(folder.path(), "me", Deadline::Never());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_NE(second.error().message.find("unix:///x"), std::string::npos);
  }
  EXPECT_TRUE(DirectoryLock::Take(folder.path(), "me", Deadline::After({})));
  EXPECT_EQ(DirectoryLock::Holder(folder.path()), "me");
}

TEST(Readiness, TellsTheServiceManager) {
  TestFolder folder;
  const std::string path = (folder.path() / "notify").string();
  UniqueFd receiver(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(receiver.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ASSERT_TRUE(NotifyServiceManager("READY=1"));
  unsetenv("NOTIFY_SOCKET");
  char text[64] = {};
  EXPECT_EQ(recv(receiver.get(), text, sizeof(text), 0), 7);
  EXPECT_STREQ(text, "READY=1");
}

TEST(Readiness, TellsADescriptorAndClosesIt) {
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe);
  ASSERT_TRUE(NotifyReadyFd(pipe->write_end.Release()));
  EXPECT_EQ(ReadAll(pipe->read_end.get(), 100), "READY=1\n");
}

TEST(LogFields, StayOnOneLineWhateverTheyHold) {
  EXPECT_EQ(FormatLogField("pod", "abc"), "pod=abc");
  EXPECT_EQ(FormatLogField("error", "a \"b\"\nc\x01"), "error=\"a \\\"b\\\"\\nc\\x01\"");
}

TEST(LogFields, AreAnObjectOfJsonWhateverTheyHold) {
  const std::string line =
      FormatJsonLine("2026-11-29T13:30:00.000001+00:00", "info", "RunPodSandbox",
                     {{"pod", "abc"}, {"container", ""}, {"error", "a \"b\"\nc\x01\xff"}});
  EXPECT_EQ(line,
            R"({"time":"2026-11-29T13:30:00.000001+00:00","level":"info","event":"RunPodSandbox",)"
            R"("pod":"abc","error":"a \"b\"\nc\u0001)"
            "\xef\xbf\xbd\"}");
  const auto object = nlohmann::json::parse(
      FormatJsonLine("t", "warning", "notice", {{"what", std::string(5000, 'x')}}));
  EXPECT_EQ(object["what"].get<std::string>(), std::string(1024, 'x') + "...");
}

TEST(Log, HasEitherFormatFromOneLineToTheNext) {
  testing::internal::CaptureStderr();
  SetLogLevel("info");
  Log(LogLevel::kInfo, "first", {{"pod", "p1"}});
  SetLogFormat("json");
  Log(LogLevel::kWarn, "second", {{"pod", "p1"}, {"container", "c1"}});
  Log(LogLevel::kDebug, "unseen");
  SetLogFormat("text");
  Log(LogLevel::kError, "third");
  std::istringstream lines(testing::internal::GetCapturedStderr());
  std::string first, second, third, more;
  std::getline(lines, first);
  std::getline(lines, second);
  std::getline(lines, third);
  EXPECT_TRUE(std::regex_match(
      first, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d info first pod=p1)")))
      << first;
  const auto object = nlohmann::json::parse(second, nullptr, false);
  ASSERT_TRUE(object.is_object()) << second;
  EXPECT_EQ(object.value("level", ""), "warning");
  EXPECT_EQ(object.value("event", ""), "second");
  EXPECT_EQ(object.value("container", ""), "c1");
  EXPECT_TRUE(third.ends_with(" error third")) << third;
  EXPECT_FALSE(std::getline(lines, more)) << more;
}

}  // namespace
}  // namespace catamaran
