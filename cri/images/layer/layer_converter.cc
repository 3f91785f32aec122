#include "cri/images/layer/layer_converter.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/sysmacros.h>

#include <limits>
#include <optional>

#include "cri/images/erofs/blob_writer.h"
#include "cri/images/layer/decompressor.h"
#include "cri/images/reference.h"

namespace catamaran {
namespace {

// The plain archive on its way into libarchive, watched for decompression bombs.
struct PlainFeed {
  HashingSource& compressed;
  HashingSource& plain;
  const LayerLimits& limits;
  std::vector<char> buffer = std::vector<char>(256 << 10);
  std::optional<Error> error = std::nullopt;

  Result<size_t> Fill() {
    ASSIGN_OR_RETURN(const size_t count, plain.Read(buffer.data(), buffer.size()));
    if (plain.bytes() > limits.plain_bytes ||
        plain.bytes() / limits.plain_ratio >
            compressed.bytes() + limits.plain_base / limits.plain_ratio)
      return Fail(ErrorCode::kResourceExhausted,
                  "the layer decompresses from {} to more than {} bytes", compressed.bytes(),
                  plain.bytes());
    return count;
  }
};

la_ssize_t ReadPlain(archive* reader, void* context, const void** data) {
  auto* feed = static_cast<PlainFeed*>(context);
  auto count = feed->Fill();
  if (!count) {
    feed->error = std::move(count).error();
    archive_set_error(reader, EIO, "source failed");
    return ARCHIVE_FATAL;
  }
  *data = feed->buffer.data();
  return static_cast<la_ssize_t>(*count);
}

class Converter {
 public:
  Converter(PlainFeed& feed, int fd)
      : feed_(feed), reader_(archive_read_new()), tree_(feed.limits), writer_(fd) {}

  Status ReadArchive() {
    archive_read_support_format_tar(reader_.get());
    archive_read_support_format_empty(reader_.get());
    if (archive_read_open(reader_.get(), &feed_, nullptr, ReadPlain, nullptr) < ARCHIVE_WARN)
      return ArchiveFailed("open the layer archive");
    for (;;) {
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(reader_.get(), &entry);
      if (result == ARCHIVE_EOF) return {};
      if (result < ARCHIVE_WARN) return ArchiveFailed("read the layer archive");
      RETURN_IF_ERROR(ReadEntry(entry));
    }
  }

  Status Finish(ConvertedLayer& layer) {
    const erofs::FileTree tree = tree_.Finish();
    for (erofs::InodeIndex index = erofs::FileTree::kRoot + 1; index < tree.size(); ++index)
      layer.implicit_folders |= tree.at(index).implicit;
    ASSIGN_OR_RETURN(const auto summary,
                     writer_.Finish(tree, erofs::UuidFromHex(DigestHex(layer.diff_id))));
    layer.size_bytes = summary.size_bytes;
    layer.checksum = summary.checksum;
    return {};
  }

 private:
  struct Free {
    void operator()(archive* reader) const { archive_read_free(reader); }
  };

  tl::unexpected<Error> ArchiveFailed(std::string_view doing) {
    if (feed_.error) return tl::unexpected(*std::exchange(feed_.error, std::nullopt));
    const char* text = archive_error_string(reader_.get());
    return Fail(ErrorCode::kInvalidArgument, "{}: {}", doing, text == nullptr ? "?" : text);
  }

  static Status ReadOwner(archive_entry* entry, const std::string& path, erofs::Inode& inode) {
    const int64_t uid = archive_entry_uid(entry);
    const int64_t gid = archive_entry_gid(entry);
    // (uid_t)-1 is no id: chown(2) takes it for "leave as it is".
    constexpr int64_t kMaximum = std::numeric_limits<uint32_t>::max() - 1;
    if (uid < 0 || uid > kMaximum || gid < 0 || gid > kMaximum)
      return Fail(ErrorCode::kInvalidArgument, "layer entry {}: owner {}:{} is not 0 to {}", path,
                  uid, gid, kMaximum);
    inode.uid = static_cast<uint32_t>(uid);
    inode.gid = static_cast<uint32_t>(gid);
    return {};
  }

  static Status ReadType(archive_entry* entry, const std::string& path, erofs::Inode& inode) {
    const auto type = archive_entry_filetype(entry);
    inode.mode = type | (archive_entry_perm(entry) & 07777);
    switch (type) {
      case AE_IFREG:
      case AE_IFDIR:
      case AE_IFIFO:
      case AE_IFSOCK:
        return {};
      case AE_IFLNK: {
        const char* target = archive_entry_symlink(entry);
        if (target == nullptr || *target == '\0')
          return Fail(ErrorCode::kInvalidArgument, "layer entry {}: a symlink to nothing", path);
        inode.target = target;
        inode.mode = S_IFLNK | 0777;  // as every Linux file system shows it
        return {};
      }
      case AE_IFCHR:
      case AE_IFBLK: {
        const uint64_t major = archive_entry_rdevmajor(entry);
        const uint64_t minor = archive_entry_rdevminor(entry);
        if (major > 0xfff || minor > 0xfffff)
          return Fail(ErrorCode::kInvalidArgument, "layer entry {}: device {}:{} does not exist",
                      path, major, minor);
        inode.device = makedev(major, minor);
        return {};
      }
      default:
        return Fail(ErrorCode::kInvalidArgument, "layer entry {}: unknown type {:o}", path, type);
    }
  }

  static Result<LayerTree::Entry> Describe(archive_entry* entry) {
    const char* path = archive_entry_pathname(entry);
    if (path == nullptr) return Fail(ErrorCode::kInvalidArgument, "a layer entry has no name");
    LayerTree::Entry described;
    described.path = path;
    if (const char* target = archive_entry_hardlink(entry)) {
      described.hard_link = target;
      return described;
    }
    erofs::Inode& inode = described.inode;
    const std::string shown = described.path.substr(0, 200);
    RETURN_IF_ERROR(ReadType(entry, shown, inode));
    RETURN_IF_ERROR(ReadOwner(entry, shown, inode));
    inode.mtime = archive_entry_mtime(entry);
    inode.mtime_nsec = static_cast<uint32_t>(archive_entry_mtime_nsec(entry)) % 1'000'000'000;
    // libarchive reads -1.5 as -1 s and 500000000 ns; the time is -2 s and 500000000 ns.
    if (inode.mtime < 0 && inode.mtime_nsec != 0) {
      --inode.mtime;
      inode.mtime_nsec = 1'000'000'000 - inode.mtime_nsec;
    }
    archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
      if (name != nullptr) inode.SetXattr(name, std::string(static_cast<const char*>(value), size));
    return described;
  }

  Status ReadEntry(archive_entry* entry) {
    ASSIGN_OR_RETURN(auto described, Describe(entry));
    const bool regular = !described.hard_link && S_ISREG(described.inode.mode);
    const std::string path = described.path.substr(0, 200);
    ASSIGN_OR_RETURN(const auto index, tree_.Apply(std::move(described)));
    if (!regular || !index) return {};
    if (archive_entry_size(entry) < 0)
      return Fail(ErrorCode::kInvalidArgument, "layer entry {}: size {}", path,
                  archive_entry_size(entry));
    if (auto copied = CopyData(static_cast<uint64_t>(archive_entry_size(entry)), *index); !copied)
      return tl::unexpected(std::move(copied).error().While("layer entry " + path));
    return {};
  }

  Status CopyData(uint64_t size, erofs::InodeIndex index) {
    RETURN_IF_ERROR(writer_.BeginFile(size));
    for (;;) {
      const void* data = nullptr;
      size_t count = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(reader_.get(), &data, &count, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result < ARCHIVE_WARN) return ArchiveFailed("read file data");
      if (count == 0) continue;
      RETURN_IF_ERROR(writer_.Write(static_cast<uint64_t>(offset),
                                    std::string_view(static_cast<const char*>(data), count)));
      const LayerLimits& limits = feed_.limits;
      if (writer_.stored_bytes() / limits.stored_ratio >
          feed_.compressed.bytes() + limits.stored_base / limits.stored_ratio)
        return Fail(ErrorCode::kResourceExhausted,
                    "the layer unpacks from {} to more than {} bytes", feed_.compressed.bytes(),
                    writer_.stored_bytes());
    }
    return writer_.EndFile(tree_.at(index));
  }

  PlainFeed& feed_;
  std::unique_ptr<archive, Free> reader_;
  LayerTree tree_;
  erofs::BlobWriter writer_;
};

}  // namespace

Result<ConvertedLayer> ConvertLayer(ByteSource& from, int fd,
                                    Hasher::Algorithm compressed_algorithm,
                                    const LayerLimits& limits) {
  HashingSource compressed(from, Hasher(compressed_algorithm));
  ASSIGN_OR_RETURN(const auto decompressed, Decompress(compressed));
  HashingSource plain(*decompressed, Hasher());
  PlainFeed feed{compressed, plain, limits};
  Converter converter(feed, fd);
  RETURN_IF_ERROR(converter.ReadArchive());
  // What follows the archive's end mark belongs to the diffID too.
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, feed.Fill());
    if (count == 0) break;
  }
  ConvertedLayer layer;
  ASSIGN_OR_RETURN(layer.diff_id, plain.Drain());
  ASSIGN_OR_RETURN(layer.compressed_digest, compressed.Drain());
  layer.compressed_bytes = compressed.bytes();
  RETURN_IF_ERROR(converter.Finish(layer));
  return layer;
}

}  // namespace catamaran
