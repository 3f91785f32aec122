#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include "cri/base/curl_easy.h"
#include "cri/base/text.h"
#include "cri/registry/http.h"

namespace catamaran {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaximumHeaderBytes = 256 << 10;
constexpr long kReceiveBuffer = 128 << 10;
// How soon a cancelled call is noticed while nothing arrives.
constexpr int kPollMilliseconds = 100;

struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

ErrorCode CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
      return ErrorCode::kFailedPrecondition;
    case CURLE_OUT_OF_MEMORY:
      return ErrorCode::kResourceExhausted;
    default:
      return ErrorCode::kUnavailable;
  }
}

// One exchange on a session's connections.
class Response final : public HttpResponse {
 public:
  Response(CURLM* multi, const HttpRequest& request) : multi_(multi), request_(request) {
    SetUp();
    curl_multi_add_handle(multi_, easy_.get());
  }
  ~Response() override { curl_multi_remove_handle(multi_, easy_.get()); }

  Status WaitForHead() {
    while (!head_done_ && !finished_) RETURN_IF_ERROR(Advance());
    if (!head_done_ && *finished_ == CURLE_OK) head_done_ = true;  // an answer without a body
    if (!head_done_) return Failed();
    return {};
  }

  int status() const override {
    long code = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &code);
    return static_cast<int>(code);
  }

  std::vector<std::string> Headers(std::string_view name) const override {
    std::vector<std::string> values;
    for (const auto& [known, value] : headers_)
      if (known == name) values.push_back(value);
    return values;
  }

  Result<size_t> Read(char* buffer, size_t size) override {
    while (taken_ == arrived_.size()) {
      if (finished_) {
        if (*finished_ != CURLE_OK) return Failed();
        return size_t{0};
      }
      arrived_.clear();
      taken_ = 0;
      RETURN_IF_ERROR(Advance());
    }
    const size_t count = std::min(size, arrived_.size() - taken_);
    memcpy(buffer, arrived_.data() + taken_, count);
    taken_ += count;
    return count;
  }

 private:
  void SetUp() {
    const std::string url = request_.url.ToString();
    easy_.Set(CURLOPT_URL, url.c_str());
    easy_.Set(CURLOPT_PATH_AS_IS, 1L);
    easy_.Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    easy_.Set(CURLOPT_USERAGENT, "catamaran");
    easy_.Set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
    easy_.Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.patience.connect.count()));
    easy_.Set(CURLOPT_ERRORBUFFER, error_text_);
    easy_.Set(CURLOPT_WRITEFUNCTION, &TakeBody);
    easy_.Set(CURLOPT_WRITEDATA, this);
    easy_.Set(CURLOPT_HEADERFUNCTION, &TakeHeader);
    easy_.Set(CURLOPT_HEADERDATA, this);
    // Proxies are the environment's, but never for this machine itself.
    if (request_.url.IsLoopback()) easy_.Set(CURLOPT_NOPROXY, "*");
    if (request_.method == HttpRequest::Method::kHead) easy_.Set(CURLOPT_NOBODY, 1L);
    if (request_.method == HttpRequest::Method::kPost) {
      easy_.Set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request_.form.size()));
      easy_.Set(CURLOPT_COPYPOSTFIELDS, request_.form.c_str());
    }
    for (const auto& [name, value] : request_.headers) easy_.AddHeader(name + ": " + value);
    if (request_.tls != nullptr) SetUpTls(*request_.tls);
  }

  void SetUpTls(const TlsOptions& tls) {
    if (tls.skip_verify) {
      easy_.Set(CURLOPT_SSL_VERIFYPEER, 0L);
      easy_.Set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    easy_.SetBlob(CURLOPT_CAINFO_BLOB, tls.ca);
    easy_.SetBlob(CURLOPT_SSLCERT_BLOB, tls.client_certificate);
    easy_.SetBlob(CURLOPT_SSLKEY_BLOB, tls.client_key);
  }

  // Lets libcurl work until something has arrived, or for a moment.
  Status Advance() {
    if (request_.deadline.expired() || (request_.cancelled && request_.cancelled()))
      return Fail(ErrorCode::kDeadlineExceeded, "{}: the time for it is over",
                  request_.url.Shown());
    int running = 0;
    const CURLMcode result = curl_multi_perform(multi_, &running);
    if (result != CURLM_OK)
      return Fail(ErrorCode::kInternal, "libcurl: {}", curl_multi_strerror(result));
    NoteEnd();
    if (moved_ || finished_) {
      moved_ = false;
      last_move_ = Clock::now();
      return {};
    }
    if (Clock::now() - last_move_ > request_.patience.stall)
      return Fail(
          ErrorCode::kUnavailable, "{}: nothing arrived for {} s", request_.url.Shown(),
          std::chrono::duration_cast<std::chrono::seconds>(request_.patience.stall).count());
    const auto patience =
        std::min<int64_t>(request_.deadline.Remaining().count(), kPollMilliseconds);
    curl_multi_poll(multi_, nullptr, 0, static_cast<int>(patience), nullptr);
    return {};
  }

  void NoteEnd() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left))
      if (message->msg == CURLMSG_DONE && message->easy_handle == easy_.get())
        finished_ = message->data.result;
  }

  tl::unexpected<Error> Failed() const {
    const std::string text = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(*finished_);
    return Fail(CodeOf(*finished_), "{}: {}", request_.url.Origin(), text);
  }

  static size_t TakeBody(char* data, size_t, size_t size, void* self) {
    auto* response = static_cast<Response*>(self);
    response->moved_ = true;
    response->head_done_ = true;
    response->arrived_.append(data, size);
    return size;
  }

  static size_t TakeHeader(char* data, size_t, size_t size, void* self) {
    auto* response = static_cast<Response*>(self);
    response->moved_ = true;
    response->header_bytes_ += size;
    if (response->header_bytes_ > kMaximumHeaderBytes) return 0;  // ends the transfer
    const std::string_view line(data, size);
    if (line.starts_with("HTTP/")) response->headers_.clear();  // after a 100 Continue
    const auto colon = line.find(':');
    if (colon != std::string_view::npos) {
      response->headers_.emplace_back(ToLower(line.substr(0, colon)),
                                      Trim(line.substr(colon + 1), " \t\r\n"));
    }
    return size;
  }

  CURLM* multi_;
  const HttpRequest request_;
  CurlEasy easy_;
  std::vector<std::pair<std::string, std::string>> headers_;
  size_t header_bytes_ = 0;
  std::string arrived_;  // of the body, and not read yet from taken_ on
  size_t taken_ = 0;
  bool head_done_ = false;
  bool moved_ = false;
  Clock::time_point last_move_ = Clock::now();
  std::optional<CURLcode> finished_;
  char error_text_[CURL_ERROR_SIZE] = {};
};

class Session final : public HttpSession {
 public:
  Session() : multi_(curl_multi_init()) {}

  Result<std::unique_ptr<HttpResponse>> Send(const HttpRequest& request) override {
    // A value that another party chose (a token) must not add a header of its own.
    for (const auto& [name, value] : request.headers)
      if (HasControlCharacters(value))
        return Fail(ErrorCode::kInvalidArgument, "{}: the header {} would hold control characters",
                    request.url.Shown(), name);
    auto response = std::make_unique<Response>(multi_.get(), request);
    RETURN_IF_ERROR(response->WaitForHead());
    return response;
  }

 private:
  std::unique_ptr<CURLM, FreeMulti> multi_;
};

}  // namespace

std::unique_ptr<HttpSession> HttpSession::Create() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  return std::make_unique<Session>();
}

std::string HttpResponse::Header(std::string_view name) const {
  const auto values = Headers(name);
  return values.empty() ? "" : values[0];
}

}  // namespace catamaran
