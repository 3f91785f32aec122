#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "cri/base/trusted_authorities.h"

namespace catamaran {

// A transfer of libcurl with the headers of its request. What is set here is what every request of
// this daemon has: http and https alone, no signals, no redirects followed, and the authorities
// that the host trusts.
class CurlEasy {
 public:
  CurlEasy() : easy_(curl_easy_init()) {
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    if (const char* trusted = TrustedAuthoritiesFile()) Set(CURLOPT_CAINFO, trusted);
  }

  CURL* get() const { return easy_.get(); }
  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(easy_.get(), option, value);
  }
  // Copies the text; nothing where it is empty. CURLOPT_CAINFO_BLOB counts before CURLOPT_CAINFO.
  void SetBlob(CURLoption option, const std::string& text) {
    if (text.empty()) return;
    curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
    Set(option, &blob);
  }
  // "Name: value".
  void AddHeader(const std::string& line) {
    headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
    Set(CURLOPT_HTTPHEADER, headers_.get());
  }

 private:
  struct FreeEasy {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::unique_ptr<CURL, FreeEasy> easy_;  // last: it goes before what it points to
};

}  // namespace catamaran
