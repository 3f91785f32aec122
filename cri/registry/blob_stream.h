#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cri/images/incoming_image.h"
#include "cri/registry/registry_client.h"

namespace catamaran {

// The bytes of a blob as they arrive. Where a connection is cut or hangs, the same host or another
// is asked for the rest (Range), so a layer that is being unpacked goes on where it was: nothing is
// written twice, nothing is read twice where the server can do ranges. Exactly as many bytes as the
// descriptor says: kDataLoss where a server insists on others.
class BlobStream : public ByteSource {
 public:
  // From byte `offset` on. `distrusted`: hosts not to ask. `asked` is told each host that bytes
  // came from.
  BlobStream(RegistryClient& client, const Descriptor& descriptor, uint64_t offset,
             RegistryClient::Caller caller, const std::set<size_t>& distrusted,
             std::set<size_t>& asked);
  Result<size_t> Read(char* buffer, size_t size) override;

 private:
  // Finds a host that gives the bytes from offset_ on.
  Status Connect();
  // Checks that the answer is what was asked for, and leaves it at offset_.
  Status Accept(HttpResponse& response) const;
  Status Discard(HttpResponse& response, uint64_t count) const;

  RegistryClient& client_;
  const Descriptor descriptor_;
  const RegistryClient::Caller caller_;
  std::set<size_t>& asked_;
  HostRotation rotation_;
  std::shared_ptr<HttpSession> session_;
  std::unique_ptr<HttpResponse> response_;  // destroyed before its session
  size_t host_ = 0;
  uint64_t offset_ = 0;
  uint64_t connected_at_ = 0;  // the offset
};

// A layer (or config) of a registry.
class BlobSource : public LayerSource {
 public:
  BlobSource(RegistryClient& client, const Descriptor& descriptor)
      : client_(client), descriptor_(descriptor) {}
  Result<std::unique_ptr<ByteSource>> Open(Deadline deadline,
                                           std::function<bool()> cancelled) override {
    return OpenAt(0, deadline, std::move(cancelled));
  }
  bool CanResume() const override { return true; }
  Result<std::unique_ptr<ByteSource>> OpenAt(uint64_t offset, Deadline deadline,
                                             std::function<bool()> cancelled) override;
  bool Distrust() override;
  std::string Origin() const override;

 private:
  RegistryClient& client_;
  const Descriptor descriptor_;
  std::set<size_t> distrusted_;  // hosts that gave other bytes than they should
  std::set<size_t> asked_;       // hosts that the last stream read from
};

}  // namespace catamaran
