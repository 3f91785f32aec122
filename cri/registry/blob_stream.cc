#include "cri/registry/blob_stream.h"

#include <algorithm>
#include <charconv>

namespace catamaran {
namespace {

// A host that gave this much before it broke off works, if badly: its failures do not add up.
constexpr uint64_t kGoodProgress = 1 << 20;

std::vector<size_t> Without(std::vector<size_t> hosts, const std::set<size_t>& unwanted) {
  std::erase_if(hosts, [&](size_t host) { return unwanted.contains(host); });
  return hosts;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The first byte's position of "bytes 100-199/200".
std::optional<uint64_t> StartOfRange(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  return ParseNumber(text.substr(0, text.find('-')));
}

}  // namespace

BlobStream::BlobStream(RegistryClient& client, const Descriptor& descriptor, uint64_t offset,
                       RegistryClient::Caller caller, const std::set<size_t>& distrusted,
                       std::set<size_t>& asked)
    : client_(client),
      descriptor_(descriptor),
      caller_(std::move(caller)),
      asked_(asked),
      rotation_(Without(client.HostsFor(RegistryClient::Need::kPull), distrusted),
                client.patience_.retry),
      session_(client.BorrowSession()),
      offset_(offset),
      connected_at_(offset) {}

Result<size_t> BlobStream::Read(char* buffer, size_t size) {
  for (;;) {
    if (response_ == nullptr) RETURN_IF_ERROR(Connect());
    const uint64_t left = descriptor_.size - offset_;
    char beyond = 0;
    auto count = left > 0 ? response_->Read(buffer, std::min<uint64_t>(size, left))
                          : response_->Read(&beyond, 1);
    if (count && left == 0) {
      if (*count > 0)
        return Fail(ErrorCode::kDataLoss, "{}: the registry gives more than its {} bytes",
                    descriptor_.digest, descriptor_.size);
      return size_t{0};
    }
    if (count && *count > 0) {
      offset_ += *count;
      if (client_.received_) client_.received_(*count);
      return count;
    }
    // All is here; how the connection ends does not matter.
    if (left == 0 && count.error().code == ErrorCode::kUnavailable) return size_t{0};
    Error error = count ? Error{ErrorCode::kUnavailable, 0,
                                fmt::format("{}: {} ended after {} of {} bytes",
                                            client_.hosts_[host_].host.base.Origin(),
                                            descriptor_.digest, offset_, descriptor_.size)}
                        : std::move(count).error();
    response_.reset();
    if (error.code != ErrorCode::kUnavailable) return tl::unexpected(std::move(error));
    if (offset_ - connected_at_ >= kGoodProgress) rotation_.Succeeded();
    client_.NoteReach(host_, false);
    rotation_.Failed(std::move(error));
  }
}

Status BlobStream::Connect() {
  RegistryClient::Wanted wanted{"blob " + descriptor_.digest, "/blobs/" + descriptor_.digest, {}};
  if (offset_ > 0) wanted.headers.emplace_back("Range", fmt::format("bytes={}-", offset_));
  ASSIGN_OR_RETURN(host_,
                   client_.AskInTurn(rotation_, wanted, *session_, caller_,
                                     [this](std::unique_ptr<HttpResponse> response) -> Status {
                                       RETURN_IF_ERROR(Accept(*response));
                                       response_ = std::move(response);
                                       return {};
                                     }));
  asked_.insert(host_);
  connected_at_ = offset_;
  return {};
}

Status BlobStream::Accept(HttpResponse& response) const {
  const bool partial = response.status() == 206;
  const uint64_t expected = descriptor_.size - (partial ? offset_ : 0);
  const auto length = ParseNumber(response.Header("content-length"));
  const auto start = StartOfRange(response.Header("content-range"));
  if (partial && start != offset_)
    return Fail(ErrorCode::kDataLoss, "blob {}: asked for the bytes from {} on it gives others",
                descriptor_.digest, offset_);
  if (length && *length != expected)
    return Fail(ErrorCode::kDataLoss, "blob {}: it has {} bytes, the manifest says {}",
                descriptor_.digest, *length, expected);
  if (!partial && offset_ > 0) return Discard(response, offset_);
  return {};
}

Status BlobStream::Discard(HttpResponse& response, uint64_t count) const {
  std::vector<char> buffer(64 << 10);
  while (count > 0) {
    ASSIGN_OR_RETURN(const size_t read,
                     response.Read(buffer.data(), std::min<uint64_t>(count, buffer.size())));
    if (read == 0)
      return Fail(ErrorCode::kUnavailable, "blob {} ended before the part that is missing",
                  descriptor_.digest);
    count -= read;
  }
  return {};
}

Result<std::unique_ptr<ByteSource>> BlobSource::OpenAt(uint64_t offset, Deadline deadline,
                                                       std::function<bool()> cancelled) {
  asked_.clear();
  if (Without(client_.HostsFor(RegistryClient::Need::kPull), distrusted_).empty())
    return Fail(ErrorCode::kInvalidArgument, "no host of {} has the capability pull",
                client_.registry());
  return std::make_unique<BlobStream>(client_, descriptor_, offset,
                                      RegistryClient::Caller{deadline, std::move(cancelled)},
                                      distrusted_, asked_);
}

bool BlobSource::Distrust() {
  // Where several gave parts nobody knows who was wrong: the first ones are mirrors, and each round
  // has a host less.
  if (asked_.empty()) return false;
  distrusted_.insert(*asked_.begin());
  return !Without(client_.HostsFor(RegistryClient::Need::kPull), distrusted_).empty();
}

std::string BlobSource::Origin() const { return client_.registry(); }

}  // namespace catamaran
