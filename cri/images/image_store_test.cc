// What a store takes in, finds, keeps and gives back.
#include <thread>

#include "cri/images/hasher.h"
#include "cri/images/reference.h"
#include "cri/images/testing/image_store_lab.h"

namespace catamaran {
namespace {

TEST_F(ImageStoreTest, LoadsEveryFormOfArchive) {
  int number = 0;
  for (const auto compression : {TestImage::Compression::kNone, TestImage::Compression::kGzip,
                                 TestImage::Compression::kZstd}) {
    TestImage image = Simple("demo/app:" + std::to_string(number), std::to_string(number));
    image.compression = compression;
    const auto oci = OciLayoutFiles({image});
    const auto docker = DockerArchiveFiles({image});
    WriteFolder(scratch_ / ("layout" + std::to_string(number)), oci);
    auto folder = store_->Load(HostPath(scratch_ / ("layout" + std::to_string(number))), {});
    ASSERT_TRUE(folder) << folder.error().message;
    EXPECT_EQ((*folder)[0].repo_tags, std::vector{"docker.io/demo/app:" + std::to_string(number)});
    for (const auto& bytes :
         {TarOf(oci), Gzip(TarOf(oci)), Zstd(TarOf(oci)), TarOf(docker), Gzip(TarOf(docker))}) {
      ASSERT_TRUE(store_->Remove((*folder)[0].id));
      auto loaded = LoadTar(bytes);
      ASSERT_TRUE(loaded) << loaded.error().message;
      ASSERT_EQ(loaded->size(), 1u);
      EXPECT_EQ((*loaded)[0].id, Sha256Of(ConfigJson(image)));
      EXPECT_EQ((*loaded)[0].diff_ids, std::vector{Sha256Of(image.layers[0])});
      EXPECT_GT((*loaded)[0].size_bytes, 0u);
    }
    ++number;
  }
  EXPECT_EQ(store_->List()->size(), 3u);
  EXPECT_EQ(Files("tmp"), std::vector<std::string>{});
}

TEST_F(ImageStoreTest, FindsAnImageByEveryFormOfItsName) {
  const std::string id = Load(Simple("busybox"));
  const auto image = Find("busybox");
  ASSERT_TRUE(image);
  ASSERT_EQ(image->repo_digests.size(), 1u);
  const std::string digest = image->repo_digests[0].substr(image->repo_digests[0].find('@'));
  const std::vector<std::string> forms = {id,
                                          DigestHex(id),
                                          DigestHex(id).substr(0, 13),
                                          "busybox",
                                          "busybox:latest",
                                          "library/busybox",
                                          "docker.io/busybox",
                                          "Docker.IO/busybox",
                                          "index.docker.io/library/busybox",
                                          "registry-1.docker.io/library/busybox:latest",
                                          "docker.io/library/busybox:latest",
                                          "busybox" + digest,
                                          "busybox:other" + digest,
                                          "index.docker.io/busybox:latest" + digest};
  for (const std::string& form : forms) {
    const auto found = Find(form);
    ASSERT_TRUE(found) << form;
    EXPECT_EQ(found->id, id) << form;
    ASSERT_TRUE(store_->Remove(form)) << form;
    EXPECT_FALSE(Find(id)) << form;
    ASSERT_EQ(Load(Simple("busybox")), id);
  }
  for (const std::string& form :
       {std::string("busybox:1"), std::string("team/busybox"), "sha256:" + std::string(64, '0'),
        std::string(64, '0'), std::string("busybox@sha256:") + std::string(64, '0')})
    EXPECT_FALSE(Find(form)) << form;
  EXPECT_EQ(store_->Find("Bad Name").error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ImageStoreTest, ATagMovesToTheImageLoadedLast) {
  const std::string first = Load(Simple("app:1", "one"));
  const std::string second = Load(Simple("app:1", "two"));
  EXPECT_EQ(Find("app:1")->id, second);
  EXPECT_EQ(Find(first)->repo_tags, std::vector<std::string>{});
  EXPECT_EQ(Find(first)->repo_digests.size(), 1u);
}

TEST_F(ImageStoreTest, AReferenceReplacesTheArchivesNames) {
  auto loaded = LoadTar(TarOf(OciLayoutFiles({Simple("app:1")})), {.reference = "other:2"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*loaded)[0].repo_tags, std::vector<std::string>{"docker.io/library/other:2"});
  EXPECT_FALSE(Find("app:1"));
  EXPECT_EQ(LoadTar(TarOf(OciLayoutFiles({Simple("a", "a"), Simple("b", "b")})), {.reference = "c"})
                .error()
                .code,
            ErrorCode::kInvalidArgument);
}

TEST_F(ImageStoreTest, ReadsTheConfigOfAnImage) {
  TestImage image = Simple("app");
  image.process = R"({"User":"www:staff","Env":["A=1","B="],"Entrypoint":["/init"],"Cmd":null,
    "WorkingDir":"/srv/../app/","Volumes":{"/data":{},"/../../etc//x":{}},"StopSignal":"SIGRTMIN+3",
    "Labels":{"k":"v"}})";
  Load(image);
  const ImageConfig config = Find("app")->config;
  EXPECT_EQ(config.user, "www:staff");
  EXPECT_EQ(config.env, (std::vector<std::string>{"A=1", "B="}));
  EXPECT_EQ(config.entrypoint, std::vector<std::string>{"/init"});
  EXPECT_TRUE(config.command.empty());
  EXPECT_EQ(config.working_directory, "/app");
  EXPECT_EQ(config.volumes, (std::vector<std::string>{"/data", "/etc/x"}));
  EXPECT_EQ(config.stop_signal, "SIGRTMIN+3");
  EXPECT_EQ(config.labels, (decltype(config.labels){{"k", "v"}}));
}

TEST_F(ImageStoreTest, RemovesAnImageWithItsBlobsAndNames) {
  const std::string id = Load(Simple("app:1"));
  ASSERT_TRUE(store_->Remove("app:1"));
  EXPECT_FALSE(Find(id));
  EXPECT_FALSE(Find("app:1"));
  EXPECT_TRUE(store_->List()->empty());
  EXPECT_TRUE(Files("blobs").empty());
  EXPECT_TRUE(store_->Remove("app:1"));
  EXPECT_TRUE(store_->Remove(id));
}

TEST_F(ImageStoreTest, SharedLayersStayUntilTheLastImageGoes) {
  const std::string base = TarBuilder().File("base", "b").Build();
  const std::string top = TarBuilder().File("top", "t").Build();
  Load({.layers = {base}, .name = "a"});
  Load({.layers = {base, top}, .name = "b"});
  EXPECT_EQ(Files("blobs").size(), 2u);
  ASSERT_TRUE(store_->Remove("b"));
  EXPECT_EQ(Files("blobs").size(), 1u);
  ASSERT_TRUE(store_->Remove("a"));
  EXPECT_TRUE(Files("blobs").empty());
}

TEST_F(ImageStoreTest, TellsWhichBytesOtherImagesHaveToo) {
  const auto layer = [](const std::string& name) { return TarBuilder().File(name, name).Build(); };
  const TestImage one{.layers = {layer("base"), layer("one")}, .name = "one:1"};
  Load(one);
  const Image alone = *store_->Find("one:1").value();
  EXPECT_EQ(alone.shared_bytes(), 0u);
  Load({.layers = {layer("base"), layer("two")}, .name = "two:1"});
  const Image shared = *store_->Find("one:1").value();
  ASSERT_EQ(shared.layers.size(), 2u);
  EXPECT_EQ(shared.shared_bytes(), shared.layers[0].size_bytes);
  EXPECT_EQ(shared.layers[0].images, 2u);
  EXPECT_EQ(shared.layers[1].images, 1u);
  EXPECT_EQ(shared.size_bytes, alone.size_bytes);
  EXPECT_EQ(store_->ConfigText(shared.id).value(), ConfigJson(one));
  ASSERT_TRUE(store_->Remove("two:1"));
  EXPECT_EQ(store_->Find("one:1").value()->shared_bytes(), 0u);
}

TEST_F(ImageStoreTest, LeasedBlobsOutliveTheirImageAndTheProcess) {
  const std::string id = Load(Simple("app"));
  const auto layers = store_->Lease(id, "container-1", ImageStore::RootfsKind::kLayers);
  ASSERT_TRUE(layers) << layers.error().message;
  const auto disk = store_->Lease(id, "container-2", ImageStore::RootfsKind::kMergedDisk);
  ASSERT_TRUE(disk) << disk.error().message;
  ASSERT_EQ(disk->layers_size(), 1);
  EXPECT_EQ(std::filesystem::file_size(disk->layers(0).blob()), disk->layers(0).size_bytes());
  EXPECT_EQ(std::filesystem::file_size(disk->merged_metadata()), disk->merged_metadata_bytes());
  ASSERT_TRUE(store_->Remove("app"));
  Open();
  EXPECT_TRUE(Exists(layers->layers(0).blob()));
  EXPECT_TRUE(Exists(disk->merged_metadata()));
  // Asked again by the same holder: the same answer.
  EXPECT_TRUE(store_->Lease(id, "container-1", ImageStore::RootfsKind::kLayers));
  EXPECT_EQ(store_->Lease(id, "container-3", ImageStore::RootfsKind::kLayers).error().code,
            ErrorCode::kNotFound);
  ASSERT_TRUE(store_->DropLease("container-2"));
  EXPECT_TRUE(Exists(layers->layers(0).blob()));
  ASSERT_TRUE(store_->DropLeasesExcept({"container-9"}));
  EXPECT_TRUE(Files("blobs").empty());
  EXPECT_TRUE(Files("merged").empty());
}

TEST_F(ImageStoreTest, ALayerThatComesTwiceIsLeasedOnce) {
  const std::string a = TarBuilder().File("a", "1").Build();
  const std::string b = TarBuilder().File(".wh.a", "").Build();
  const std::string id = Load({.layers = {a, b, a}, .name = "x"});
  const auto rootfs = store_->Lease(id, "c", ImageStore::RootfsKind::kLayers);
  ASSERT_TRUE(rootfs);
  ASSERT_EQ(rootfs->layers_size(), 2);
  EXPECT_NE(rootfs->layers(1).blob().find(DigestHex(Sha256Of(a))), std::string::npos);
}

TEST_F(ImageStoreTest, FolderAttributesGetALayerOfTheirOwnWhereOverlayfsWouldLoseThem) {
  const std::string base = TarBuilder().Folder("tmp/", 01777).Build();
  const std::string listed = TarBuilder().Folder("tmp/", 01777).File("tmp/x", "x").Build();
  const std::string passing = TarBuilder().File("tmp/x", "x").Build();
  const std::string elsewhere = TarBuilder().File("opt/x", "x").Build();
  const struct {
    std::vector<std::string> layers;
    int leased;
  } rows[] = {{{base, listed}, 2},
              {{base, passing}, 3},
              {{base, elsewhere}, 2},
              {{passing}, 1},
              {{base, passing, listed}, 3}};
  for (const auto& row : rows) {
    const std::string id = Load({.layers = row.layers});
    for (int again = 0; again < 2; ++again) {
      const auto rootfs = store_->Lease(id, "c", ImageStore::RootfsKind::kLayers);
      ASSERT_TRUE(rootfs) << rootfs.error().message;
      EXPECT_EQ(rootfs->layers_size(), row.leased);
      for (const auto& layer : rootfs->layers())
        EXPECT_EQ(std::filesystem::file_size(layer.blob()), layer.size_bytes());
      Open();
    }
    const auto disk = store_->Lease(id, "d", ImageStore::RootfsKind::kMergedDisk);
    EXPECT_EQ(disk->layers_size(), static_cast<int>(row.layers.size()));
    ASSERT_TRUE(store_->Remove(id));
    ASSERT_TRUE(store_->DropLeasesExcept({}));
    EXPECT_TRUE(Files("merged").empty());
  }
}

TEST_F(ImageStoreTest, PinnedImagesSaySoAndCanStillBeRemoved) {
  store_.reset();
  store_ = ImageStore::Open(HostPath(scratch_ / "images"), {{"docker.io/library/app:latest"}, {}})
               .value();
  Load(Simple("app"));
  Load(Simple("other", "another content"));
  EXPECT_TRUE(Find("app")->pinned);
  EXPECT_FALSE(Find("other")->pinned);
  ASSERT_TRUE(store_->Remove("app"));
  EXPECT_FALSE(Find("app"));
}

TEST_F(ImageStoreTest, AnExpiredDeadlineLeavesNothing) {
  auto loaded = LoadTar(TarOf(OciLayoutFiles({Simple("app")})),
                        {.deadline = Deadline::After(std::chrono::milliseconds(0))});
  EXPECT_EQ(loaded.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_TRUE(store_->List()->empty());
  EXPECT_TRUE(Files("blobs").empty());
  EXPECT_TRUE(Files("tmp").empty());
}

TEST_F(ImageStoreTest, ManyLoadsAtOnceShareTheirLayers) {
  std::vector<std::string> layers;
  for (int i = 0; i < 6; ++i)
    layers.push_back(TarBuilder().File("f" + std::to_string(i), std::string(200'000, 'x')).Build());
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 6; ++i) {
    const std::string archive = scratch_ / ("archive" + std::to_string(i));
    const std::vector<std::string> some(layers.begin(), layers.begin() + 1 + i);
    WriteTestFile(archive,
                  TarOf(OciLayoutFiles({{.layers = some, .name = "n" + std::to_string(i)}})));
    threads.emplace_back([this, archive, &good] {
      if (store_->Load(HostPath(archive), {})) ++good;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 6);
  EXPECT_EQ(Files("blobs").size(), 6u);
  EXPECT_EQ(store_->List()->size(), 6u);
}

TEST_F(ImageStoreTest, TellsProgressUntilEveryLayerIsFinished) {
  std::string random(3 << 20, '\0');
  uint32_t state = 1;
  for (char& c : random) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  std::mutex mutex;
  std::vector<ImageStore::Progress> told;
  auto loaded =
      LoadTar(TarOf(OciLayoutFiles({{.layers = {TarBuilder().File("r", random).Build()}}})),
              {.progress = [&](const ImageStore::Progress& progress) {
                const std::lock_guard lock(mutex);
                told.push_back(progress);
              }});
  ASSERT_TRUE(loaded) << loaded.error().message;
  ASSERT_GE(told.size(), 2u);
  EXPECT_TRUE(told.back().finished);
  EXPECT_EQ(told.back().done_bytes, told.back().total_bytes);
  EXPECT_FALSE(told.front().finished);
  EXPECT_GT(told.front().done_bytes, 0u);
}

TEST_F(ImageStoreTest, ReportsWhatItUsesOnTheDisk) {
  const auto empty = store_->DiskUsage().value();
  Load(Simple("app"));
  const auto usage = store_->DiskUsage().value();
  EXPECT_EQ(usage.mountpoint.value(), scratch_ / "images");
  EXPECT_EQ(usage.inodes_used, empty.inodes_used + 1);
  EXPECT_GT(usage.used_bytes, empty.used_bytes);
}

}  // namespace
}  // namespace catamaran
