#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sandbox/base/result.h"

struct evp_md_ctx_st;

namespace catamaran {

// A running digest (OpenSSL EVP). Not thread-safe.
class Hasher {
 public:
  enum class Algorithm { kSha256, kSha512 };

  explicit Hasher(Algorithm algorithm = Algorithm::kSha256);
  // For verifying against a digest that IsDigest accepted: same algorithm.
  static Hasher For(std::string_view digest);

  void Update(const void* data, size_t size);
  // "sha256:<hex>"; the hasher is spent afterwards.
  std::string Finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  Algorithm algorithm_;
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string Sha256Of(std::string_view content);

// kDataLoss, naming `what`, where content's digest is another one than `digest`.
Status VerifyDigest(std::string_view content, std::string_view digest, std::string_view what);

}  // namespace catamaran
