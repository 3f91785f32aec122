#include "cri/streaming/hostile/session_attacks.h"

namespace catamaran {
namespace {

constexpr char kProtocol[] = "v4.channel.k8s.io";

long Threads() { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); }

}  // namespace

long SessionAttacks::ThreadsLeftOfMissingPrograms(int sessions) {
  const long before = Threads();
  for (int i = 0; i < sessions; ++i) {
    SpdyClient client(Offer(std::make_unique<FailingProcess>(), /*terminal=*/true), kProtocol);
    OpenAll(client);
    client.Send(client.Open({{"streamtype", "resize"}}), "{\"Width\":80,\"Height\":24}\n");
    client.ReadToEnd();
    EXPECT_NE(client.data[1].find("no such program"), std::string::npos) << client.data[1];
  }
  return ThreadsLeft(before);
}

long SessionAttacks::ThreadsLeftOfAttaching(int sessions) {
  const long before = Threads();
  for (int i = 0; i < sessions; ++i) {
    SpdyClient client(Offer(std::make_unique<AttachedProcess>()), kProtocol);
    OpenAll(client);
    client.Ping(1);  // the session has begun
  }
  return ThreadsLeft(before);
}

long SessionAttacks::ThreadsLeft(long before) {
  long left = Threads();
  for (int quiet = 0; quiet < 100 && left > before; ++quiet) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (Threads() < left) quiet = 0;
    left = Threads();
  }
  return left - before;
}

}  // namespace catamaran
