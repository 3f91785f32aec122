// Bytes through the streaming servers.
#include <cstdio>

#include "e2e/bench/measures.h"
#include "e2e/bench/stream_download.h"

namespace catamaran::e2e {
namespace {

constexpr uint16_t kPort = 8080;
constexpr auto kListenLimit = std::chrono::seconds(30);

Status ExpectAll(const Result<uint64_t>& count, int megabytes) {
  if (!count) return tl::unexpected<Error>(count.error());
  const uint64_t wanted = static_cast<uint64_t>(megabytes) << 20;
  if (*count == wanted) return {};
  return Fail(ErrorCode::kDataLoss, "{} of {} bytes came", *count, wanted);
}

}  // namespace

void Bench::MeasureStreams() {
  const int megabytes = plan_.stream_megabytes;
  const std::string zeros = fmt::format("dd if=/dev/zero bs=1M count={} 2>/dev/null", megabytes);
  const std::string server = fmt::format("exec nc -ll -p {} -e /bin/sh -c '{}'", kPort, zeros);
  std::map<std::string, std::unique_ptr<PlainPod>> pods;
  Turn([&](const Subject& subject) -> Status {
    auto& pod = pods[subject.name] = NewPod(subject, {"/bin/sh", "-c", server});
    RETURN_IF_ERROR(StartWhole(*pod));
    const auto end = std::chrono::steady_clock::now() + kListenLimit;
    for (;;) {
      ASSIGN_OR_RETURN(const std::string listening, pod->Output({"/bin/netstat", "-ltn"}));
      if (listening.find(":" + std::to_string(kPort)) != std::string::npos) return {};
      if (std::chrono::steady_clock::now() > end)
        return Fail(ErrorCode::kDeadlineExceeded, "nothing listens in the pod: {}", listening);
    }
  });
  for (int round = 0; round < plan_.rounds; ++round) {
    fprintf(stderr, "streams: round %d of %d\n", round + 1, plan_.rounds);
    Turn([&](const Subject& subject) -> Status {
      CriClient& cri = subject.runtime->cri();
      const PlainPod& pod = *pods[subject.name];
      return Timed(fmt::format("exec of {} MiB", megabytes), subject, round, [&]() -> Status {
        v1::ExecRequest request;
        request.set_container_id(pod.container_id());
        for (const std::string& word : {std::string("/bin/sh"), std::string("-c"), zeros})
          request.add_cmd(word);
        request.set_stdout(true);
        const auto reply = cri.Exec(request);
        if (!reply.ok()) return tl::unexpected<Error>(reply.error);
        return ExpectAll(DownloadExec(reply->url()), megabytes);
      });
    });
    Turn([&](const Subject& subject) -> Status {
      CriClient& cri = subject.runtime->cri();
      const PlainPod& pod = *pods[subject.name];
      return Timed(fmt::format("port-forward of {} MiB", megabytes), subject, round,
                   [&]() -> Status {
                     v1::PortForwardRequest request;
                     request.set_pod_sandbox_id(pod.id());
                     const auto reply = cri.PortForward(request);
                     if (!reply.ok()) return tl::unexpected<Error>(reply.error);
                     return ExpectAll(DownloadPort(reply->url(), kPort), megabytes);
                   });
    });
  }
}

}  // namespace catamaran::e2e
