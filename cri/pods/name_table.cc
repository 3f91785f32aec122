#include "cri/pods/name_table.h"

#include "cri/pods/wait.h"

namespace catamaran {
namespace {

// A creation that ended because of its own caller says nothing about another's chances.
bool IsCallersOwn(const Error& error) {
  return error.code == ErrorCode::kDeadlineExceeded || error.code == ErrorCode::kAborted;
}

}  // namespace

Result<NameTable::Claimed> NameTable::Claim(const std::string& name, const std::string& id,
                                            const std::string& fingerprint,
                                            const CallContext& call) {
  std::unique_lock lock(mutex_);
  for (;;) {
    auto [found, inserted] = entries_.try_emplace(name);
    if (inserted) {
      found->second = std::make_shared<Entry>(Entry{.id = id, .fingerprint = fingerprint});
      return Claimed{.is_new = true, .id = id};
    }
    std::shared_ptr<Entry> entry = found->second;
    if (entry->fingerprint != fingerprint) {
      return Fail(ErrorCode::kAlreadyExists,
                  "name \"{}\" belongs to {}, which has another configuration", name, entry->id);
    }
    RETURN_IF_ERROR(WaitFor(lock, changed_, call.deadline, call,
                            [&] { return entry->settled || entry->released; }));
    if (entry->settled && !entry->released) return Claimed{.is_new = false, .id = entry->id};
    if (entry->failure && !IsCallersOwn(*entry->failure)) return tl::unexpected(*entry->failure);
  }
}

void NameTable::Settle(const std::string& name, const std::string& id) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(name);
  if (found == entries_.end() || found->second->id != id) return;
  found->second->settled = true;
  changed_.notify_all();
}

void NameTable::Release(const std::string& name, const std::string& id, std::optional<Error> why) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(name);
  if (found == entries_.end() || found->second->id != id) return;
  found->second->released = true;
  found->second->failure = std::move(why);
  entries_.erase(found);
  changed_.notify_all();
}

bool NameTable::Restore(const std::string& name, const std::string& id,
                        const std::string& fingerprint) {
  std::lock_guard lock(mutex_);
  auto entry =
      std::make_shared<Entry>(Entry{.id = id, .fingerprint = fingerprint, .settled = true});
  return entries_.try_emplace(name, std::move(entry)).second;
}

}  // namespace catamaran
