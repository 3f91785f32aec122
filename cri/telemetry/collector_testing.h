#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "cri/registry/testing/test_server.h"
#include "cri/telemetry/otlp.pb.h"

namespace catamaran {

// A span as a collector gets it, with the service that it came from.
struct CollectedSpan {
  std::string service;
  otlp::Span span;

  std::string Attribute(const std::string& key) const {
    for (const auto& attribute : span.attributes()) {
      if (attribute.key() != key) continue;
      return attribute.value().has_int_value() ? std::to_string(attribute.value().int_value())
                                               : attribute.value().string_value();
    }
    return "";
  }
};

// An OTLP collector of a test: an HTTP server on loopback that reads what it is sent.
class TestCollector {
 public:
  // Called for each request, counted from 1.
  using Answers = std::function<TestServer::Answer(int)>;
  explicit TestCollector(Answers answers = [](int) { return AnswerWith(200); })
      : server_([this, answers = std::move(answers)](const TestServer::Request&) {
          return answers(++asked_);
        }) {}

  std::string url() const { return server_.url(); }
  std::vector<TestServer::Request> requests() const { return server_.requests(); }

  // All spans of the requests so far that had this body's form.
  std::vector<CollectedSpan> Spans() const {
    std::vector<CollectedSpan> spans;
    for (const auto& request : server_.requests()) {
      otlp::ExportTraceServiceRequest message;
      if (!message.ParseFromString(request.body)) continue;
      for (const auto& resource : message.resource_spans()) {
        std::string service;
        for (const auto& attribute : resource.resource().attributes())
          if (attribute.key() == "service.name") service = attribute.value().string_value();
        for (const auto& scope : resource.scope_spans())
          for (const auto& span : scope.spans()) spans.push_back({service, span});
      }
    }
    return spans;
  }

  // False after `patience`.
  static bool Await(const std::function<bool()>& condition,
                    std::chrono::seconds patience = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

 private:
  int asked_ = 0;  // one request at a time: the exporter has one thread
  TestServer server_;
};

}  // namespace catamaran
