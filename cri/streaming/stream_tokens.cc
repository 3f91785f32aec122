#include "cri/streaming/stream_tokens.h"

#include <sys/random.h>

namespace catamaran {
namespace {

constexpr size_t kTokenBytes = 16;

Result<std::string> NewToken() {
  unsigned char bytes[kTokenBytes];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return FailWithErrno("getrandom");
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

}  // namespace

std::string_view PathOf(StreamTicket::Kind kind) {
  switch (kind) {
    case StreamTicket::Kind::kExec:
      return "exec";
    case StreamTicket::Kind::kAttach:
      return "attach";
    case StreamTicket::Kind::kPortForward:
      break;
  }
  return "portforward";
}

void StreamTokens::DropOld(Clock::time_point now) {
  std::erase_if(waiting_, [now](const auto& entry) { return entry.second.until <= now; });
}

Result<std::string> StreamTokens::Add(StreamTicket ticket, Clock::time_point now) {
  ASSIGN_OR_RETURN(const std::string token, NewToken());
  std::string path = fmt::format("/{}/{}", PathOf(ticket.kind), token);
  std::lock_guard lock(mutex_);
  DropOld(now);
  if (waiting_.size() >= kMostWaiting) {
    return Fail(ErrorCode::kResourceExhausted,
                "{} streaming URLs wait for their clients; each is given up after {} s",
                waiting_.size(), kLifetime.count());
  }
  waiting_.emplace(path, Waiting{std::move(ticket), now + kLifetime});
  return path;
}

std::optional<StreamTicket> StreamTokens::Take(std::string_view path, Clock::time_point now) {
  std::lock_guard lock(mutex_);
  DropOld(now);
  const auto found = waiting_.find(path);
  if (found == waiting_.end()) return std::nullopt;
  StreamTicket ticket = std::move(found->second.ticket);
  waiting_.erase(found);
  return ticket;
}

}  // namespace catamaran
