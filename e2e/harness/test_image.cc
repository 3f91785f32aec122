#include "e2e/harness/test_image.h"

#include <archive.h>
#include <archive_entry.h>
#include <openssl/sha.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "sandbox/base/files.h"

namespace catamaran::e2e {
namespace {

using nlohmann::json;

constexpr char kBusybox[] = "/bin/busybox";
constexpr char kManifest[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kConfig[] = "application/vnd.oci.image.config.v1+json";
constexpr char kLayer[] = "application/vnd.oci.image.layer.v1.tar";

Result<std::string> Gzip(const std::string& bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Fail(ErrorCode::kInternal, "deflateInit2");
  }
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = bytes.size();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = out.size();
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return Fail(ErrorCode::kInternal, "deflate: {}", result);
  return out;
}

Result<std::string> Zstd(const std::string& bytes) {
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1);
  if (ZSTD_isError(size)) return Fail(ErrorCode::kInternal, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

ssize_t AppendToString(archive*, void* out, const void* bytes, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<ssize_t>(size);
}

// Writes blobs/sha256/HEX and returns its descriptor.
Result<json> WriteBlob(const std::string& folder, const std::string& bytes,
                       const std::string& media_type) {
  const std::string digest = Sha256Digest(bytes);
  RETURN_IF_ERROR(ReplaceFile(folder + "/blobs/sha256/" + digest.substr(7), bytes, 0644,
                              Durability::kProcessCrash));
  return json{{"mediaType", media_type}, {"digest", digest}, {"size", bytes.size()}};
}

json ConfigOf(const ImageDescription& image, const json& diff_ids) {
  json process = json::object();
  if (!image.entrypoint.empty()) process["Entrypoint"] = image.entrypoint;
  if (!image.command.empty()) process["Cmd"] = image.command;
  if (!image.environment.empty()) process["Env"] = image.environment;
  if (!image.user.empty()) process["User"] = image.user;
  if (!image.working_directory.empty()) process["WorkingDir"] = image.working_directory;
  if (!image.stop_signal.empty()) process["StopSignal"] = image.stop_signal;
  for (const std::string& volume : image.volumes) process["Volumes"][volume] = json::object();
  return {{"architecture", "amd64"},
          {"os", "linux"},
          {"created", "2026-01-01T00:00:00Z"},
          {"author", image.name},  // so that images of equal content have ids of their own
          {"config", process},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

Result<json> WriteImage(const std::string& folder, const ImageDescription& image) {
  json layers = json::array(), diff_ids = json::array();
  for (const auto& files : image.layers) {
    ASSIGN_OR_RETURN(std::string tar, LayerTar(files));
    diff_ids.push_back(Sha256Digest(tar));
    std::string type = kLayer;
    if (image.compression == ImageDescription::Compression::kGzip) {
      ASSIGN_OR_RETURN(tar, Gzip(tar));
      type += "+gzip";
    } else if (image.compression == ImageDescription::Compression::kZstd) {
      ASSIGN_OR_RETURN(tar, Zstd(tar));
      type += "+zstd";
    }
    ASSIGN_OR_RETURN(json descriptor, WriteBlob(folder, tar, type));
    layers.push_back(descriptor);
  }
  ASSIGN_OR_RETURN(json config, WriteBlob(folder, ConfigOf(image, diff_ids).dump(), kConfig));
  const json manifest = {
      {"schemaVersion", 2}, {"mediaType", kManifest}, {"config", config}, {"layers", layers}};
  ASSIGN_OR_RETURN(json descriptor, WriteBlob(folder, manifest.dump(), kManifest));
  descriptor["annotations"] = {{"org.opencontainers.image.ref.name", image.name},
                               {"io.containerd.image.name", image.name}};
  return descriptor;
}

}  // namespace

std::string Sha256Digest(const std::string& bytes) {
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash);
  std::string text = "sha256:";
  for (unsigned char byte : hash) text += fmt::format("{:02x}", byte);
  return text;
}

Result<std::string> LayerTar(const std::vector<ImageFile>& files) {
  std::string out;
  std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
  archive_write_set_format_pax_restricted(writer.get());
  archive_write_set_bytes_per_block(writer.get(), 0);
  archive_write_open(writer.get(), &out, nullptr, AppendToString, nullptr);
  for (const ImageFile& file : files) {
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                   archive_entry_free);
    archive_entry_set_pathname(entry.get(), file.path.c_str());
    archive_entry_set_perm(entry.get(), file.mode);
    archive_entry_set_uid(entry.get(), file.uid);
    archive_entry_set_gid(entry.get(), file.gid);
    archive_entry_set_mtime(entry.get(), 1767225600, 0);
    archive_entry_set_filetype(entry.get(), file.type == 'd'   ? AE_IFDIR
                                            : file.type == 'l' ? AE_IFLNK
                                            : file.type == 'p' ? AE_IFIFO
                                                               : AE_IFREG);
    if (file.type == 'l') archive_entry_set_symlink(entry.get(), file.target.c_str());
    if (file.type == 'h') archive_entry_set_hardlink(entry.get(), file.target.c_str());
    archive_entry_set_size(entry.get(), file.type == 'f' ? file.content.size() : 0);
    if (archive_write_header(writer.get(), entry.get()) != ARCHIVE_OK) {
      return Fail(ErrorCode::kInternal, "tar {}: {}", file.path,
                  archive_error_string(writer.get()));
    }
    if (file.type == 'f') {
      archive_write_data(writer.get(), file.content.data(), file.content.size());
    }
  }
  archive_write_close(writer.get());
  return out;
}

Result<std::vector<ImageFile>> BusyboxLayer() {
  auto program = ReadFile(kBusybox);
  if (!program) {
    return Fail(ErrorCode::kFailedPrecondition, "{} is missing: apt-get install busybox-static",
                kBusybox);
  }
  std::vector<ImageFile> files;
  for (const char* folder : {"bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "var"}) {
    files.push_back({folder, "", 0755, 'd'});
  }
  files.push_back({"tmp", "", 01777, 'd'});
  files.push_back({"home/daniel", "", 0755, 'd', "", 1000, 1000});
  files.push_back({"bin/busybox", *program, 0755});
  FILE* list = popen("/bin/busybox --list", "re");
  char name[256];
  while (list != nullptr && fgets(name, sizeof(name), list) != nullptr) {
    name[strcspn(name, "\n")] = '\0';
    if (std::string(name) != "busybox") {
      files.push_back({std::string("bin/") + name, "", 0777, 'l', "busybox"});
    }
  }
  if (list == nullptr || pclose(list) != 0) return Fail(ErrorCode::kInternal, "busybox --list");
  files.push_back({"etc/passwd",
                   "root:x:0:0:root:/root:/bin/sh\n"
                   "daniel:x:1000:1000::/home/daniel:/bin/sh\n"
                   "nobody:x:65534:65534:nobody:/:/bin/false\n"});
  files.push_back(
      {"etc/group", "root:x:0:\ndaniel:x:1000:\nextra:x:50000:daniel\nnogroup:x:65534:\n"});
  return files;
}

Result<ImageDescription> BusyboxImage(const std::string& name) {
  ImageDescription image;
  image.name = name;
  ASSIGN_OR_RETURN(std::vector<ImageFile> layer, BusyboxLayer());
  image.layers.push_back(std::move(layer));
  image.command = {"sh"};
  return image;
}

Status WriteOciLayout(const std::string& folder, const std::vector<ImageDescription>& images) {
  RETURN_IF_ERROR(MakeDirectories(folder + "/blobs/sha256", 0755));
  json manifests = json::array();
  for (const ImageDescription& image : images) {
    ASSIGN_OR_RETURN(json descriptor, WriteImage(folder, image));
    manifests.push_back(descriptor);
  }
  RETURN_IF_ERROR(ReplaceFile(folder + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})", 0644,
                              Durability::kProcessCrash));
  const json index = {{"schemaVersion", 2},
                      {"mediaType", "application/vnd.oci.image.index.v1+json"},
                      {"manifests", manifests}};
  return ReplaceFile(folder + "/index.json", index.dump(), 0644, Durability::kProcessCrash);
}

}  // namespace catamaran::e2e
