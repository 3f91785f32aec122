#include "cri/images/file_as_tar.h"

#include <algorithm>
#include <cstring>

#include "cri/images/hasher.h"

namespace catamaran {
namespace {

constexpr size_t kBlock = 512;

size_t PaddingAfter(uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

// pax(1): "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string PaxRecord(const std::string& key, const std::string& value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string Header(char type, const std::string& name, uint64_t size) {
  std::string header(kBlock, '\0');
  const auto put = [&header](size_t at, const std::string& text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, name);
  put(100, "0000444");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");  // the sum is made with spaces in its place
  header[156] = type;
  put(257, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + '\0');
  return header;
}

// Name and size are in a pax header, which has no limit for either.
std::string HeaderOf(const std::string& name, uint64_t size) {
  const std::string records = PaxRecord("path", name) + PaxRecord("size", std::to_string(size));
  constexpr uint64_t kLargestOctal = (uint64_t{1} << 33) - 1;
  return Header('x', "pax", records.size()) + records +
         std::string(PaddingAfter(records.size()), '\0') +
         Header('0', "file", std::min(size, kLargestOctal));
}

class TarBytes final : public ByteSource {
 public:
  TarBytes(const std::string& name, const Descriptor& layer, std::unique_ptr<ByteSource> bytes)
      : layer_(layer),
        bytes_(std::move(bytes)),
        hasher_(Hasher::For(layer.digest)),
        ours_(HeaderOf(name, layer.size)) {}

  Result<size_t> Read(char* buffer, size_t size) override {
    if (given_ < ours_.size()) return Give(buffer, size);
    if (done_) return 0;
    ASSIGN_OR_RETURN(const size_t count, bytes_->Read(buffer, size));
    read_ += count;
    if (read_ > layer_.size || (count == 0 && read_ < layer_.size))
      return Fail(ErrorCode::kDataLoss, "it has {} bytes, the manifest says {}",
                  read_ > layer_.size ? "more" : std::to_string(read_), layer_.size);
    hasher_.Update(buffer, count);
    if (count > 0) return count;
    if (const std::string digest = hasher_.Finish(); digest != layer_.digest)
      return Fail(ErrorCode::kDataLoss, "its bytes have digest {}, the manifest says {}", digest,
                  layer_.digest);
    // Two empty blocks are an archive's end.
    done_ = true;
    ours_.assign(PaddingAfter(layer_.size) + 2 * kBlock, '\0');
    given_ = 0;
    return Give(buffer, size);
  }

 private:
  size_t Give(char* buffer, size_t size) {
    const size_t count = std::min(size, ours_.size() - given_);
    memcpy(buffer, ours_.data() + given_, count);
    given_ += count;
    return count;
  }

  const Descriptor layer_;
  const std::unique_ptr<ByteSource> bytes_;
  Hasher hasher_;
  std::string ours_;  // what is given that is not the file's
  size_t given_ = 0;
  uint64_t read_ = 0;
  bool done_ = false;
};

class TarSource final : public LayerSource {
 public:
  TarSource(std::string name, Descriptor layer, std::shared_ptr<LayerSource> bytes)
      : name_(std::move(name)), layer_(std::move(layer)), bytes_(std::move(bytes)) {}

  Result<std::unique_ptr<ByteSource>> Open(Deadline deadline,
                                           std::function<bool()> cancelled) override {
    ASSIGN_OR_RETURN(auto opened, bytes_->Open(deadline, std::move(cancelled)));
    return std::make_unique<TarBytes>(name_, layer_, std::move(opened));
  }
  bool Distrust() override { return bytes_->Distrust(); }
  std::string Origin() const override { return bytes_->Origin(); }

 private:
  const std::string name_;
  const Descriptor layer_;
  const std::shared_ptr<LayerSource> bytes_;
};

}  // namespace

std::shared_ptr<LayerSource> FileAsTar(const std::string& name, const Descriptor& layer,
                                       std::shared_ptr<LayerSource> bytes) {
  return std::make_shared<TarSource>(name, layer, std::move(bytes));
}

}  // namespace catamaran
