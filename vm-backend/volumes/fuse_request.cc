#include "vm-backend/volumes/fuse_request.h"

#include <linux/fuse.h>
#include <linux/limits.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <string_view>

namespace catamaran {
namespace {

enum class Tail {
  kNone,
  kComponent,          // one file name
  kTwoComponents,      // rename
  kComponentThenText,  // symlink: name, target
  kAttributeName,
  kAttributeNameThenValue,
  kData,        // write
  kForgetList,  // batch forget
};

struct Shape {
  uint32_t opcode;
  size_t fixed_bytes;
  Tail tail;
};

// FUSE_SETXATTR's second half is only there where FUSE_SETXATTR_EXT was negotiated, which the
// server never does.
constexpr Shape kShapes[] = {
    {FUSE_LOOKUP, 0, Tail::kComponent},
    {FUSE_FORGET, sizeof(fuse_forget_in), Tail::kNone},
    {FUSE_GETATTR, sizeof(fuse_getattr_in), Tail::kNone},
    {FUSE_SETATTR, sizeof(fuse_setattr_in), Tail::kNone},
    {FUSE_READLINK, 0, Tail::kNone},
    {FUSE_SYMLINK, 0, Tail::kComponentThenText},
    {FUSE_MKNOD, sizeof(fuse_mknod_in), Tail::kComponent},
    {FUSE_MKDIR, sizeof(fuse_mkdir_in), Tail::kComponent},
    {FUSE_UNLINK, 0, Tail::kComponent},
    {FUSE_RMDIR, 0, Tail::kComponent},
    {FUSE_RENAME, sizeof(fuse_rename_in), Tail::kTwoComponents},
    {FUSE_RENAME2, sizeof(fuse_rename2_in), Tail::kTwoComponents},
    {FUSE_LINK, sizeof(fuse_link_in), Tail::kComponent},
    {FUSE_OPEN, sizeof(fuse_open_in), Tail::kNone},
    {FUSE_READ, sizeof(fuse_read_in), Tail::kNone},
    {FUSE_WRITE, sizeof(fuse_write_in), Tail::kData},
    {FUSE_STATFS, 0, Tail::kNone},
    {FUSE_RELEASE, sizeof(fuse_release_in), Tail::kNone},
    {FUSE_FSYNC, sizeof(fuse_fsync_in), Tail::kNone},
    {FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE, Tail::kAttributeNameThenValue},
    {FUSE_GETXATTR, sizeof(fuse_getxattr_in), Tail::kAttributeName},
    {FUSE_LISTXATTR, sizeof(fuse_getxattr_in), Tail::kNone},
    {FUSE_REMOVEXATTR, 0, Tail::kAttributeName},
    {FUSE_FLUSH, sizeof(fuse_flush_in), Tail::kNone},
    {FUSE_INIT, sizeof(fuse_init_in), Tail::kNone},
    {FUSE_OPENDIR, sizeof(fuse_open_in), Tail::kNone},
    {FUSE_READDIR, sizeof(fuse_read_in), Tail::kNone},
    {FUSE_READDIRPLUS, sizeof(fuse_read_in), Tail::kNone},
    {FUSE_RELEASEDIR, sizeof(fuse_release_in), Tail::kNone},
    {FUSE_FSYNCDIR, sizeof(fuse_fsync_in), Tail::kNone},
    {FUSE_CREATE, sizeof(fuse_create_in), Tail::kComponent},
    {FUSE_INTERRUPT, sizeof(fuse_interrupt_in), Tail::kNone},
    {FUSE_DESTROY, 0, Tail::kNone},
    {FUSE_BATCH_FORGET, sizeof(fuse_batch_forget_in), Tail::kForgetList},
    {FUSE_FALLOCATE, sizeof(fuse_fallocate_in), Tail::kNone},
    {FUSE_LSEEK, sizeof(fuse_lseek_in), Tail::kNone},
    {FUSE_COPY_FILE_RANGE, sizeof(fuse_copy_file_range_in), Tail::kNone},
};

const Shape* FindShape(uint32_t opcode) {
  for (const Shape& shape : kShapes)
    if (shape.opcode == opcode) return &shape;
  return nullptr;
}

template <typename T>
T Load(std::span<const std::byte> bytes) {
  T value{};
  memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

// Takes one NUL-terminated string off the front.
Result<std::string_view> TakeText(std::span<const std::byte>* rest, size_t limit) {
  const auto* start = reinterpret_cast<const char*>(rest->data());
  const size_t length = strnlen(start, rest->size());
  if (length == rest->size()) return Fail(ErrorCode::kInvalidArgument, "unterminated string");
  if (length == 0 || length > limit)
    return Fail(ErrorCode::kInvalidArgument, "string of {} bytes", length);
  *rest = rest->subspan(length + 1);
  return std::string_view(start, length);
}

// As long as a guest's kernel sends them: that a name is too long for its file system the host's
// says itself (ENAMETOOLONG).
constexpr size_t kLongestName = 1024;

Status TakeComponent(std::span<const std::byte>* rest) {
  ASSIGN_OR_RETURN(const std::string_view name, TakeText(rest, kLongestName));
  if (name == "." || name == ".." || name.find('/') != std::string_view::npos)
    return Fail(ErrorCode::kInvalidArgument, "file name is not a single path component");
  return {};
}

Status CheckSetxattr(std::span<const std::byte> fixed, std::span<const std::byte> rest) {
  RETURN_IF_ERROR(TakeText(&rest, XATTR_NAME_MAX));
  const auto size = Load<uint32_t>(fixed);
  if (size > rest.size() || size > XATTR_SIZE_MAX)
    return Fail(ErrorCode::kInvalidArgument, "attribute value of {} bytes", size);
  return {};
}

Status CheckTail(Tail tail, std::span<const std::byte> fixed, std::span<const std::byte> rest) {
  switch (tail) {
    case Tail::kNone:
      return {};
    case Tail::kComponent:
      return TakeComponent(&rest);
    case Tail::kTwoComponents:
      RETURN_IF_ERROR(TakeComponent(&rest));
      return TakeComponent(&rest);
    case Tail::kComponentThenText:
      RETURN_IF_ERROR(TakeComponent(&rest));
      RETURN_IF_ERROR(TakeText(&rest, PATH_MAX));
      return {};
    case Tail::kAttributeName:
      RETURN_IF_ERROR(TakeText(&rest, XATTR_NAME_MAX));
      return {};
    case Tail::kAttributeNameThenValue:
      return CheckSetxattr(fixed, rest);
    case Tail::kData: {
      const auto size = Load<fuse_write_in>(fixed).size;
      if (size > rest.size() || size > kMaxFuseTransfer)
        return Fail(ErrorCode::kInvalidArgument, "write of {} bytes", size);
      return {};
    }
    case Tail::kForgetList: {
      const auto count = Load<fuse_batch_forget_in>(fixed).count;
      if (count > rest.size() / sizeof(fuse_forget_one))
        return Fail(ErrorCode::kInvalidArgument, "{} entries to forget", count);
      return {};
    }
  }
  return {};
}

// Sizes that the server allocates for the answer.
Status CheckReplySize(uint32_t opcode, std::span<const std::byte> fixed) {
  uint64_t size = 0;
  if (opcode == FUSE_READ || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS)
    size = Load<fuse_read_in>(fixed).size;
  if (opcode == FUSE_GETXATTR || opcode == FUSE_LISTXATTR)
    size = Load<fuse_getxattr_in>(fixed).size;
  if (size > kMaxFuseTransfer)
    return Fail(ErrorCode::kInvalidArgument, "answer of {} bytes asked for", size);
  return {};
}

}  // namespace

Status CheckFuseRequest(std::span<const std::byte> request) {
  if (request.size() < sizeof(fuse_in_header) || request.size() > kMaxFuseRequest)
    return Fail(ErrorCode::kInvalidArgument, "request of {} bytes", request.size());
  const auto header = Load<fuse_in_header>(request);
  if (header.len != request.size())
    return Fail(ErrorCode::kInvalidArgument, "length {} in a request of {} bytes", header.len,
                request.size());
  const Shape* shape = FindShape(header.opcode);
  if (shape == nullptr) return Fail(ErrorCode::kUnimplemented, "FUSE operation {}", header.opcode);
  const auto body = request.subspan(sizeof header);
  if (body.size() < shape->fixed_bytes)
    return Fail(ErrorCode::kInvalidArgument, "operation {} with {} bytes, {} needed", header.opcode,
                body.size(), shape->fixed_bytes);
  const auto fixed = body.first(shape->fixed_bytes);
  // An older layout would send libfuse down paths with other sizes than those checked here.
  if (header.opcode == FUSE_INIT && (Load<fuse_init_in>(fixed).major != FUSE_KERNEL_VERSION ||
                                     Load<fuse_init_in>(fixed).minor < 36))
    return Fail(ErrorCode::kInvalidArgument, "FUSE protocol older than 7.36");
  RETURN_IF_ERROR(CheckTail(shape->tail, fixed, body.subspan(shape->fixed_bytes)));
  return CheckReplySize(header.opcode, fixed);
}

bool FuseRequestHasReply(uint32_t opcode) {
  return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
         opcode != FUSE_DESTROY;
}

}  // namespace catamaran
