#include "vm-backend/volumes/fuse_request.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <cstring>
#include <string>

namespace catamaran {
namespace {

std::string Body(const auto& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string Text(const std::string& text) { return text + '\0'; }

std::string Request(uint32_t opcode, const std::string& body) {
  fuse_in_header header{};
  header.len = sizeof header + body.size();
  header.opcode = opcode;
  header.unique = 7;
  header.nodeid = 1;
  return Body(header) + body;
}

Status Check(const std::string& request) {
  return CheckFuseRequest(std::as_bytes(std::span(request.data(), request.size())));
}

struct Case {
  const char* name;
  std::string request;
  bool passes;
};

std::string Write(uint32_t claimed, size_t sent) {
  fuse_write_in write{};
  write.size = claimed;
  return Request(FUSE_WRITE, Body(write) + std::string(sent, 'x'));
}

std::string Read(uint32_t size) {
  fuse_read_in read{};
  read.size = size;
  return Request(FUSE_READ, Body(read));
}

std::string Setxattr(uint32_t claimed, const std::string& tail) {
  const uint32_t fixed[2] = {claimed, 0};
  return Request(FUSE_SETXATTR, Body(fixed) + tail);
}

std::string Forget(uint32_t claimed, size_t sent) {
  fuse_batch_forget_in forget{};
  forget.count = claimed;
  return Request(FUSE_BATCH_FORGET, Body(forget) + std::string(sent * sizeof(fuse_forget_one), 0));
}

std::string Init(uint32_t major, uint32_t minor) {
  fuse_init_in init{};
  init.major = major;
  init.minor = minor;
  return Request(FUSE_INIT, Body(init));
}

TEST(CheckFuseRequest, PassesWhatLiesInsideItsMessageAndNothingElse) {
  const std::string rename = Body(fuse_rename_in{1});
  const Case cases[] = {
      {"lookup", Request(FUSE_LOOKUP, Text("file")), true},
      {"lookup of an absolute name", Request(FUSE_LOOKUP, Text("/etc/shadow")), false},
      {"lookup with a slash", Request(FUSE_LOOKUP, Text("a/b")), false},
      {"lookup of the parent", Request(FUSE_LOOKUP, Text("..")), false},
      {"lookup of itself", Request(FUSE_LOOKUP, Text(".")), false},
      {"lookup of nothing", Request(FUSE_LOOKUP, Text("")), false},
      {"lookup without an end", Request(FUSE_LOOKUP, "file"), false},
      {"lookup of 1025 bytes", Request(FUSE_LOOKUP, Text(std::string(1025, 'n'))), false},
      {"lookup of 1024 bytes", Request(FUSE_LOOKUP, Text(std::string(1024, 'n'))), true},
      {"rename", Request(FUSE_RENAME, rename + Text("a") + Text("b")), true},
      {"rename with one name", Request(FUSE_RENAME, rename + Text("a")), false},
      {"rename to the parent", Request(FUSE_RENAME, rename + Text("a") + Text("..")), false},
      {"symlink may point anywhere", Request(FUSE_SYMLINK, Text("l") + Text("/etc/x")), true},
      {"symlink without a target", Request(FUSE_SYMLINK, Text("l")), false},
      {"write", Write(5, 5), true},
      {"write that claims more than it sent", Write(6, 5), false},
      {"write larger than the limit", Write(kMaxFuseTransfer + 1, kMaxFuseTransfer + 1), false},
      {"read", Read(kMaxFuseTransfer), true},
      {"read larger than the limit", Read(kMaxFuseTransfer + 1), false},
      {"setxattr", Setxattr(3, Text("user.a") + "abc"), true},
      {"setxattr that claims more than it sent", Setxattr(4, Text("user.a") + "abc"), false},
      {"setxattr without a name", Setxattr(0, ""), false},
      {"forget", Forget(2, 2), true},
      {"forget that claims more than it sent", Forget(3, 2), false},
      {"short getattr", Request(FUSE_GETATTR, "x"), false},
      {"unknown operation", Request(999, ""), false},
      {"ioctl is not served", Request(FUSE_IOCTL, std::string(64, 0)), false},
      {"init", Init(7, 38), true},
      {"init of an older layout", Init(7, 8), false},
      {"init of another major version", Init(8, 0), false},
  };
  for (const Case& item : cases)
    EXPECT_EQ(Check(item.request).has_value(), item.passes) << item.name;
}

TEST(CheckFuseRequest, RefusesALengthThatIsNotTheMessages) {
  std::string request = Request(FUSE_LOOKUP, Text("file"));
  request += "more";
  EXPECT_FALSE(Check(request));
  EXPECT_FALSE(Check(request.substr(0, 20)));
  EXPECT_FALSE(Check(std::string(kMaxFuseRequest + 1, 0)));
}

TEST(CheckFuseRequest, SaysWhichRequestsAreNotServedAtAll) {
  EXPECT_EQ(Check(Request(FUSE_POLL, std::string(24, 0))).error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace catamaran
