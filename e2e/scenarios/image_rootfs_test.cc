// Images of many layers as root file systems on each hull.
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "e2e/harness/pod_test.h"

namespace catamaran::e2e {
namespace {

class ImageRootfs : public PodTest {
 protected:
  ImageDescription Busybox(const std::string& name) {
    auto image = BusyboxImage("docker.io/library/" + name);
    EXPECT_TRUE(image);
    return *image;
  }
  Ended RunIn(const std::string& image, const std::string& script) {
    auto config = ShellConfig("main", script);
    config.mutable_image()->set_image(image);
    return RunToEnd(RunPod(), config);
  }
};

TEST_P(ImageRootfs, LayersHideReplaceAndRemoveWhatIsBelow) {
  ImageDescription image = Busybox("layers:1");
  image.layers.push_back({{"data", "", 0755, 'd'},
                          {"data/kept", "kept"},
                          {"data/replaced", "old"},
                          {"data/removed", "x"},
                          {"opaque", "", 0755, 'd'},
                          {"opaque/hidden", "x"}});
  image.layers.push_back({{"data/.wh.removed", ""},
                          {"data/replaced", "new", 0600, 'f', "", 1000, 1000},
                          {"opaque/.wh..wh..opq", ""},
                          {"opaque/seen", "seen"},
                          {"link", "", 0777, 'l', "data/kept"},
                          {"data/hard", "", 0644, 'h', "data/replaced"}});
  LoadForThisTest(image);
  EXPECT_EQ(RunIn(image.name,
                  "cat /data/kept; echo; cat /data/replaced; echo; ls /data; ls /opaque; "
                  "cat /link; echo; stat -c '%a %u %g %h' /data/replaced")
                .out,
            "kept\nnew\nhard\nkept\nreplaced\nseen\nkept\n600 1000 1000 2\n");
}

TEST_P(ImageRootfs, TwentyLayersAreOneFileSystem) {
  ImageDescription image = Busybox("twenty:1");
  for (int i = 1; i < 20; ++i) image.layers.push_back({{"layer" + std::to_string(i), "x"}});
  LoadForThisTest(image);
  EXPECT_EQ(RunIn(image.name, "set -- /layer*; echo $#").out, "19\n");
}

TEST_P(ImageRootfs, AHundredAndTwentySevenLayersAreOneFileSystem) {
  ImageDescription image = Busybox("most:1");
  for (int i = 1; i < 127; ++i) image.layers.push_back({{"layer" + std::to_string(i), "x"}});
  LoadForThisTest(image);
  EXPECT_EQ(RunIn(image.name, "set -- /layer*; echo $#").out, "126\n");
}

TEST_P(ImageRootfs, PlainAndZstandardLayersWorkLikeGzip) {
  for (const auto compression :
       {ImageDescription::Compression::kNone, ImageDescription::Compression::kZstd}) {
    const bool plain = compression == ImageDescription::Compression::kNone;
    ImageDescription image = Busybox(plain ? "plain:1" : "zstd:1");
    image.compression = compression;
    image.layers.push_back({{"file", plain ? "plain" : "zstd"}});
    LoadForThisTest(image);
    EXPECT_EQ(RunIn(image.name, "cat /file").out, plain ? "plain" : "zstd");
  }
}

TEST_P(ImageRootfs, LinksOutOfTheImageStayInside) {
  ImageDescription image = Busybox("links:1");
  // What a hostile image puts where the runtime writes.
  image.layers.push_back({{"etc/hostname", "", 0777, 'l', "/../../../../tmp/catamaran-escaped"},
                          {"etc/resolv.conf", "", 0777, 'l', "/tmp/catamaran-escaped"},
                          {"etc/mtab", "", 0777, 'l', "../../../tmp/catamaran-escaped"}});
  LoadForThisTest(image);
  EXPECT_EQ(RunIn(image.name, "echo well").out, "well\n");
  struct stat entry {};
  EXPECT_NE(lstat("/tmp/catamaran-escaped", &entry), 0);
}

TEST_P(ImageRootfs, AnImageInUseCanBeRemovedAndItsContainerGoesOn) {
  ImageDescription image = Busybox("in-use:1");
  image.layers.push_back({{"file", "content"}});
  LoadForThisTest(image);
  auto config = ShellConfig("main", "sleep 1000");
  config.mutable_image()->set_image(image.name);
  const std::string id = CreateAndStart(RunPod(), config);
  v1::RemoveImageRequest request;
  request.mutable_image()->set_image(image.name);
  EXPECT_TRUE(cri().RemoveImage(request).ok());
  EXPECT_EQ(Output(id, "cat /file"), "content");
}

TEST_P(ImageRootfs, NothingOfARemovedImageStaysOnTheDisk) {
  ImageDescription image = Busybox("removed:1");
  image.layers.push_back({{"file", "only here"}});
  const auto files = [this] {
    std::set<std::string> names;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator
             it(world().paths().root() + "/images", error),
         end;
         !error && it != end; it.increment(error)) {
      if (it->path().extension() == ".erofs") names.insert(it->path());
    }
    return names;
  };
  const auto before = files();
  LoadForThisTest(image);
  const std::string pod = RunPod();
  auto config = ShellConfig("main", "true");
  config.mutable_image()->set_image(image.name);
  EXPECT_EQ(RunToEnd(pod, config).exit_code, 0);
  EXPECT_GT(files().size(), before.size());
  StopAndRemovePod(pod);
  v1::RemoveImageRequest request;
  request.mutable_image()->set_image(image.name);
  EXPECT_TRUE(cri().RemoveImage(request).ok());
  EXPECT_TRUE(WaitUntil([&] { return files() == before; }));
}

CATAMARAN_ON_EVERY_HANDLER(ImageRootfs);

}  // namespace
}  // namespace catamaran::e2e
