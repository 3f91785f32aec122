#include "e2e/bench/stream_download.h"

#include "e2e/harness/streaming_client.h"

namespace catamaran::e2e {

Result<uint64_t> DownloadExec(const std::string& url) {
  ASSIGN_OR_RETURN(auto client, StreamingClient::Open(url, "v4.channel.k8s.io"));
  ASSIGN_OR_RETURN(const uint32_t status, client.OpenStream({{"streamtype", "error"}}));
  ASSIGN_OR_RETURN(const uint32_t out, client.OpenStream({{"streamtype", "stdout"}}));
  RETURN_IF_ERROR(client.ReadToEnd(out));
  RETURN_IF_ERROR(client.ReadRest());
  if (client.text(status).find("\"Success\"") == std::string::npos)
    return Fail(ErrorCode::kUnknown, "the command failed: {}", client.text(status));
  return client.count(out);
}

Result<uint64_t> DownloadPort(const std::string& url, uint16_t port) {
  ASSIGN_OR_RETURN(auto client, StreamingClient::Open(url, "portforward.k8s.io"));
  SpdyHeaders headers{{"port", std::to_string(port)}, {"requestid", "0"}, {"streamtype", "error"}};
  ASSIGN_OR_RETURN(const uint32_t error, client.OpenStream(headers));
  headers["streamtype"] = "data";
  ASSIGN_OR_RETURN(const uint32_t data, client.OpenStream(headers));
  RETURN_IF_ERROR(client.ReadToEnd(data));
  if (client.count(error) > 0) return Fail(ErrorCode::kUnavailable, "{}", client.text(error));
  return client.count(data);
}

}  // namespace catamaran::e2e
