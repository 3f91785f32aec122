#pragma once

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace catamaran {

// One to one with gRPC's status codes (same numbers), so that one function in cri makes the
// grpc::Status and the same value travels on the shim's and the agent's wire.
enum class ErrorCode {
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
};

std::string_view ErrorCodeName(ErrorCode code);

// What an error is about, where a caller far away tells it apart (spec::Error::Subject).
enum class ErrorSubject {
  kUnnamed = 0,
  kImageVolume = 1,  // a mount of an image
};

// What went wrong. Callers branch on `code` (or `system_errno`, `subject`), never on the text. Each
// layer prepends what it was doing (Error::While) and never repeats what is below.
struct Error {
  ErrorCode code = ErrorCode::kUnknown;
  int system_errno = 0;  // 0 where no system call failed
  std::string message;
  ErrorSubject subject = ErrorSubject::kUnnamed;

  // Returns this error with "doing: " before its message.
  Error While(std::string_view doing) &&;
  // Returns this error with that subject.
  Error About(ErrorSubject what) &&;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// An error with a formatted message: return Fail(ErrorCode::kNotFound, "container {}", id);
template <typename... Args>
tl::unexpected<Error> Fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, 0, fmt::format(format, std::forward<Args>(args)...)});
}

// The error of a failed system call: the message is followed by strerror(error_number). The code
// follows the number (ENOENT is kNotFound, EACCES kPermissionDenied, ENOSPC kResourceExhausted,
// ...; kInternal where none fits).
tl::unexpected<Error> FailErrno(int error_number, std::string_view doing);

template <typename... Args>
tl::unexpected<Error> FailWithErrno(fmt::format_string<Args...> format, Args&&... args) {
  const int error_number = errno;
  return FailErrno(error_number, fmt::format(format, std::forward<Args>(args)...));
}

ErrorCode CodeOfErrno(int error_number);

#define CATAMARAN_CONCAT_INNER(a, b) a##b
#define CATAMARAN_CONCAT(a, b) CATAMARAN_CONCAT_INNER(a, b)

// Leaves the function with the error of a Result that has one.
#define RETURN_IF_ERROR(expression)                                                         \
  do {                                                                                      \
    auto return_if_error_result = (expression);                                             \
    if (!return_if_error_result)                                                            \
      return tl::unexpected<::catamaran::Error>(std::move(return_if_error_result).error()); \
  } while (false)

// ASSIGN_OR_RETURN(auto fd, OpenFile(path)); declares `fd`, or leaves with the error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_IMPL(CATAMARAN_CONCAT(assign_or_return_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_IMPL(result, declaration, expression)                       \
  auto result = (expression);                                                        \
  if (!result) return tl::unexpected<::catamaran::Error>(std::move(result).error()); \
  declaration = std::move(result).value()

}  // namespace catamaran
