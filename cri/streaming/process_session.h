#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cri/streaming/descriptor_pumps.h"
#include "cri/streaming/stream_connection.h"
#include "cri/streaming/stream_status.h"
#include "cri/streaming/stream_target.h"

namespace catamaran {

// Exec and Attach: a client's streams joined to a process's.
//
//   the client opens its streams --all there--> Open() --> bytes both ways
//     --process ended, output empty--> status on the error stream --> Finish
//
// A client that goes leaves an exec'd process running, as with other runtimes; its output is read
// and dropped until it ends. An attached client's end concerns nobody.
class ProcessSession final : public StreamConnection::Listener {
 public:
  // version: of the protocol, for the form of the status. done: once, when there is nothing left to
  // do. All outlive the session.
  ProcessSession(boost::asio::io_context& io, StreamConnection& connection,
                 StreamedProcess& process, StreamWants wants, int version,
                 std::function<void()> done);

  bool OnOpen(uint32_t stream, const StreamConnection::Headers& headers) override;
  void OnData(uint32_t stream, std::string_view bytes) override;
  void OnEnd(uint32_t stream) override;
  void OnReset(uint32_t stream) override;
  void OnRoom() override;
  void OnClosed() override;

 private:
  bool Is(const char* type, uint32_t stream) const;
  void Begin();
  void Connect(StreamedProcess::Ends ends);
  std::unique_ptr<DescriptorSource> Source(UniqueFd fd, const char* type);
  void TellInputEnd();
  void OnProcessEnd();
  void FinishIfEnded();
  void Finish(const std::string& status);

  boost::asio::io_context& io_;
  StreamConnection& connection_;
  StreamedProcess& process_;
  const StreamWants wants_;
  const int version_;
  const std::function<void()> done_;
  boost::asio::steady_timer streams_limit_;
  std::map<std::string, uint32_t, std::less<>> streams_;  // by type
  std::unique_ptr<DescriptorSink> in_;
  std::unique_ptr<DescriptorSource> out_, err_;
  boost::asio::posix::stream_descriptor ended_fd_;
  TerminalSizeReader sizes_;
  // What came before the process was there.
  std::string early_input_;
  std::optional<TerminalSize> early_size_;
  bool early_end_ = false;
  bool begun_ = false, connected_ = false, input_ended_ = false;
  bool process_ended_ = false, finished_ = false, client_gone_ = false;
};

}  // namespace catamaran
