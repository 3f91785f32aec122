#include "vm-backend/templates/template_keeper.h"

#include <sys/socket.h>

#include "sandbox/kernel/process.h"
#include "sandbox/kernel/unix_socket.h"
#include "vm-backend/templates/template_messages.h"

namespace catamaran {

struct TemplateKeeper::Entry {
  enum class State { kLoading, kMaking, kReady, kFailed };
  State state = State::kLoading;
  vm::TemplateRequest request;
  Template files;
  std::string reason;  // of a failure
  std::chrono::steady_clock::time_point failed_at;
  uint64_t last_use = 0;
  std::vector<uint64_t> waiting;    // connections
  std::unique_ptr<ChildTask> task;  // loading or saving
};

struct TemplateKeeper::Connection {
  UniqueFd socket;
  EventLoop::Watch watch;
};

std::string TemplateKey(const vm::TemplateRequest& request) {
  // Map fields have no order on the wire: they are spelled out in theirs.
  vm::TemplateRequest rest = request;
  rest.mutable_files()->clear();
  rest.mutable_machine()->clear_template_socket();
  std::string text = rest.SerializeAsString();
  const std::map<std::string, std::string> files(request.files().begin(), request.files().end());
  for (const auto& [path, identity] : files) text += fmt::format("\n{}={}", path, identity);
  return DigestOf(text);
}

TemplateKeeper::TemplateKeeper(EventLoop& loop, TemplateMaker& maker, Options options)
    : loop_(loop), maker_(maker), options_(std::move(options)) {}

TemplateKeeper::~TemplateKeeper() = default;

Status TemplateKeeper::Serve(UniqueFd listener) {
  listener_ = std::move(listener);
  ASSIGN_OR_RETURN(listener_watch_,
                   loop_.WatchFd(listener_.get(), EPOLLIN, [this](uint32_t) { OnConnection(); }));
  return StartLingering();
}

Status TemplateKeeper::StartLingering() {
  if (!options_.on_unused) return {};
  ASSIGN_OR_RETURN(linger_timer_,
                   loop_.RunAfter(options_.linger, [this] { options_.on_unused(); }));
  return {};
}

void TemplateKeeper::Disconnect(uint64_t connection) {
  connections_.erase(connection);
  // Without a timer the keeper stays: the safe side.
  if (connections_.empty()) (void)StartLingering();
}

void TemplateKeeper::OnConnection() {
  UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket.valid() || !CheckPeer(socket.get())) return;
  const uint64_t id = next_connection_++;
  auto connection = std::make_unique<Connection>();
  connection->socket = std::move(socket);
  auto watch =
      loop_.WatchFd(connection->socket.get(), EPOLLIN, [this, id](uint32_t) { OnRequest(id); });
  if (!watch) return;
  connection->watch = std::move(watch).value();
  connections_[id] = std::move(connection);
  linger_timer_.Cancel();
}

void TemplateKeeper::OnRequest(uint64_t connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  auto request = ReceiveTemplateRequest(found->second->socket.get());
  if (request)
    Ask(*request, connection);
  else if (request.error().system_errno != EAGAIN)
    Disconnect(connection);
}

void TemplateKeeper::Ask(const vm::TemplateRequest& request, uint64_t connection) {
  const std::string key = TemplateKey(request);
  auto& slot = entries_[key];
  // One that could not be made is tried again: what was in its way may be gone.
  const bool again = slot != nullptr && slot->state == Entry::State::kFailed &&
                     std::chrono::steady_clock::now() - slot->failed_at >= options_.try_again;
  if (slot == nullptr || again) {
    slot = std::make_unique<Entry>();
    slot->request = request;
    if (const auto sizes = FindTemplate(options_.root, key))
      StartLoading(key, *sizes);
    else
      StartMaking(key);
  }
  Entry& entry = *entries_.at(key);
  entry.last_use = ++clock_;
  switch (entry.state) {
    case Entry::State::kReady:
      return Answer(connection, &entry, "");
    case Entry::State::kLoading:
      return entry.waiting.push_back(connection);
    case Entry::State::kMaking:
      return Answer(connection, nullptr, "being made");
    case Entry::State::kFailed:
      return Answer(connection, nullptr, entry.reason);
  }
}

void TemplateKeeper::StartLoading(const std::string& key, const TemplateSizes& sizes) {
  Entry& entry = *entries_.at(key);
  entry.state = Entry::State::kLoading;
  auto memory = MakeTemplateFile("catamaran-template-memory", sizes.memory_bytes);
  auto state = MakeTemplateFile("catamaran-template-state", sizes.state_bytes);
  if (!memory || !state) return GiveUp(key, "no memory for the template");
  entry.files = Template{std::move(memory).value(), std::move(state).value()};
  RunInChild(
      entry, [this, key, &entry] { return LoadTemplate(options_.root, key, entry.files); },
      [this, key](Status loaded) { OnLoaded(key, std::move(loaded)); });
}

void TemplateKeeper::OnLoaded(const std::string& key, Status loaded) {
  Entry& entry = *entries_.at(key);
  if (loaded) loaded = SealTemplate(entry.files);
  if (!loaded) {
    // Damaged: it is made anew.
    entry.files = Template();
    StartMaking(key);
    return AnswerWaiters(entry);
  }
  entry.state = Entry::State::kReady;
  AnswerWaiters(entry);
  DropUnused();
}

void TemplateKeeper::StartMaking(const std::string& key) {
  Entry& entry = *entries_.at(key);
  entry.state = Entry::State::kMaking;
  auto memory = MakeTemplateFile("catamaran-template-memory", entry.request.memory_bytes());
  if (!memory) return GiveUp(key, memory.error().message);
  entry.files.memory = std::move(memory).value();
  maker_.Make(entry.request, entry.files.memory.get(),
              [this, key](Result<UniqueFd> state) { OnMade(key, std::move(state)); });
}

void TemplateKeeper::OnMade(const std::string& key, Result<UniqueFd> state) {
  if (!state) return GiveUp(key, "could not be made: " + state.error().message);
  Entry& entry = *entries_.at(key);
  entry.files.state = std::move(state).value();
  if (auto sealed = SealTemplate(entry.files); !sealed) return GiveUp(key, sealed.error().message);
  entry.state = Entry::State::kReady;
  StartSaving(key);
  DropUnused();
}

// A template that could not be saved is good until the keeper ends.
void TemplateKeeper::StartSaving(const std::string& key) {
  Entry& entry = *entries_.at(key);
  RunInChild(
      entry,
      [this, key, &entry]() -> Status {
        RETURN_IF_ERROR(SaveTemplate(options_.root, key, entry.files));
        return TrimTemplates(options_.root, options_.kept_on_disk);
      },
      [](Status) {});
}

void TemplateKeeper::GiveUp(const std::string& key, const std::string& reason) {
  Entry& entry = *entries_.at(key);
  entry.state = Entry::State::kFailed;
  entry.reason = reason;
  entry.failed_at = std::chrono::steady_clock::now();
  entry.files = Template();
  AnswerWaiters(entry);
}

void TemplateKeeper::AnswerWaiters(Entry& entry) {
  const auto waiting = std::exchange(entry.waiting, {});
  const bool ready = entry.state == Entry::State::kReady;
  const std::string reason = entry.state == Entry::State::kMaking ? "being made" : entry.reason;
  for (const uint64_t connection : waiting) Answer(connection, ready ? &entry : nullptr, reason);
}

void TemplateKeeper::Answer(uint64_t connection, const Entry* found, const std::string& reason) {
  const auto peer = connections_.find(connection);
  if (peer == connections_.end()) return;
  vm::TemplateReply reply;
  reply.set_found(found != nullptr);
  reply.set_reason(reason);
  const auto sent =
      SendTemplateReply(peer->second->socket.get(), reply, found ? &found->files : nullptr);
  if (!sent) Disconnect(connection);
}

// Running clones keep their memory whatever is dropped here; it is loaded again when asked for.
void TemplateKeeper::DropUnused() {
  while (true) {
    size_t ready = 0;
    auto oldest = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->second->state != Entry::State::kReady) continue;
      ++ready;
      const bool saving = entry->second->task != nullptr;
      const bool older =
          oldest == entries_.end() || entry->second->last_use < oldest->second->last_use;
      if (!saving && older) oldest = entry;
    }
    if (ready <= options_.kept_in_memory || oldest == entries_.end()) return;
    entries_.erase(oldest);
  }
}

void TemplateKeeper::RunInChild(Entry& entry, UniqueFunction<Status()> work, Done done) {
  entry.task = ChildTask::Start(loop_, std::move(work),
                                [&entry, done = std::move(done)](Status outcome) mutable {
                                  const auto ended = std::move(entry.task);
                                  done(std::move(outcome));
                                });
}

}  // namespace catamaran
