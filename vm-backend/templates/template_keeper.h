#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/backend/sandbox_backend.h"
#include "sandbox/base/strong_types.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/kernel/event_loop.h"
#include "vm-backend/templates/template.pb.h"
#include "vm-backend/templates/template_files.h"

namespace catamaran {

// Boots a machine to a ready agent and saves it. Behind it is the VMM's launcher.
class TemplateMaker {
 public:
  virtual ~TemplateMaker() = default;
  // Boots with `memory` as shared guest RAM and completes with the device state, written into a
  // file of MakeTemplateFile, once the machine is gone and nothing maps the memory any more.
  virtual void Make(const vm::TemplateRequest& request, int memory, Completion<UniqueFd> done) = 0;
};

// The folder name of a template: a digest of the whole request.
std::string TemplateKey(const vm::TemplateRequest& request);

// A process of its own that holds the templates of this node for the shims: a clone's memory is
// shared with all others only while it is one file, and the daemon, which knows nothing of VMs,
// comes and goes. A request for a template that is on disk waits until it is loaded and verified;
// one for a template that does not exist is answered at once ("being made"), and it is made in
// the background, so that pods are never late because of it.
//
// Runs on one event loop; what blocks on the disk runs in short-lived children.
class TemplateKeeper {
 public:
  struct Options {
    HostPath root;  // <root directory>/templates
    size_t kept_in_memory = 4;
    size_t kept_on_disk = 8;
    // A template that could not be made is tried again after this, when asked for: each try costs
    // a boot.
    std::chrono::milliseconds try_again = std::chrono::minutes(5);
    // Called once nobody has been connected for `linger` (the daemon stays connected for as long
    // as it lives). May be empty.
    UniqueFunction<void()> on_unused;
    std::chrono::milliseconds linger = std::chrono::seconds(10);
  };
  TemplateKeeper(EventLoop& loop, TemplateMaker& maker, Options options);
  ~TemplateKeeper();

  // Serves shims that connect to this listening SOCK_SEQPACKET socket; the peer must be of this
  // process's user, or root.
  Status Serve(UniqueFd listener);

 private:
  struct Entry;
  struct Connection;

  void OnConnection();
  void OnRequest(uint64_t connection);
  void Ask(const vm::TemplateRequest& request, uint64_t connection);
  void StartLoading(const std::string& key, const TemplateSizes& sizes);
  void OnLoaded(const std::string& key, Status loaded);
  void StartMaking(const std::string& key);
  void OnMade(const std::string& key, Result<UniqueFd> state);
  void StartSaving(const std::string& key);
  void GiveUp(const std::string& key, const std::string& reason);
  void AnswerWaiters(Entry& entry);
  void Answer(uint64_t connection, const Entry* found, const std::string& reason);
  void DropUnused();
  void Disconnect(uint64_t connection);
  Status StartLingering();
  // Runs `work` in a child and `done` with its outcome here.
  void RunInChild(Entry& entry, UniqueFunction<Status()> work, Done done);

  EventLoop& loop_;
  TemplateMaker& maker_;
  Options options_;
  UniqueFd listener_;
  EventLoop::Watch listener_watch_;
  uint64_t next_connection_ = 1;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  EventLoop::Watch linger_timer_;  // runs while nobody is connected
  uint64_t clock_ = 0;             // counts uses
};

}  // namespace catamaran
