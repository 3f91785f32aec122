#include "cri/images/merged_disk.h"

#include <fcntl.h>

#include "cri/images/erofs/blob_writer.h"
#include "cri/images/erofs/merge.h"
#include "cri/images/erofs/metadata_writer.h"
#include "cri/images/erofs/reader.h"
#include "cri/images/reference.h"
#include "sandbox/base/files.h"

namespace catamaran {

namespace {

// Merges the layers' trees; returns how many blocks the layers take.
Result<uint64_t> Merge(const std::vector<LayerFile>& layers, erofs::LayerMerger& merger) {
  uint64_t blocks = 0;
  for (const LayerFile& layer : layers) {
    ASSIGN_OR_RETURN(const auto file, OpenFile(layer.path.value(), O_RDONLY));
    auto tree = erofs::ReadTree(file.get(), layer.size_bytes);
    if (!tree) return tl::unexpected(std::move(tree).error().While("read " + layer.path.string()));
    RETURN_IF_ERROR(merger.Add(*tree, blocks));
    blocks += layer.size_bytes / erofs::kBlockSize;
  }
  return blocks;
}

}  // namespace

Result<uint64_t> WriteMergedMetadata(int fd, const std::vector<LayerFile>& layers,
                                     const std::string& image_id) {
  erofs::LayerMerger merger;
  ASSIGN_OR_RETURN(const uint64_t layer_blocks, Merge(layers, merger));
  erofs::MetadataWriter metadata(merger.tree());
  RETURN_IF_ERROR(metadata.Plan(/*start_block=*/1));
  const uint64_t size =
      erofs::AlignUp(metadata.end_block() * erofs::kBlockSize, erofs::kImageAlignment);
  const uint64_t blocks = size / erofs::kBlockSize;
  if (blocks + layer_blocks >= erofs::kNoBlock)
    return Fail(ErrorCode::kResourceExhausted, "the merged image is larger than 16 TiB");
  RETURN_IF_ERROR(merger.ShiftData(blocks));
  erofs::Output output(fd);
  RETURN_IF_ERROR(metadata.Write(output));
  RETURN_IF_ERROR(output.Finish(
      size, metadata.FirstBlock(blocks + layer_blocks, erofs::UuidFromHex(DigestHex(image_id)))));
  return size;
}

Result<uint64_t> WriteAttributeLayer(int fd, const std::vector<LayerFile>& layers,
                                     const std::string& image_id) {
  erofs::LayerMerger merger;
  RETURN_IF_ERROR(Merge(layers, merger));
  const auto tree = merger.AttributeLayer();
  if (!tree) return uint64_t{0};
  erofs::BlobWriter writer(fd);
  ASSIGN_OR_RETURN(const auto summary,
                   writer.Finish(*tree, erofs::UuidFromHex(DigestHex(image_id))));
  return summary.size_bytes;
}

}  // namespace catamaran
