#pragma once

namespace catamaran {

// How far a session of Exec or Attach has come.
struct SessionState {
  bool begun = false;      // the client's streams are there: the process is, or is to be, started
  bool connected = false;  // the process is there
  bool finished = false;   // its status was sent, or why it could not start
  bool attached = false;   // the process is not the session's own
};

// What a session waits for once its client has left.
enum class SessionLeft {
  kNothing,  // it is over
  kStart,    // the process, which is being started
  kProcess,  // the end of its process
};

// A session is a thread: one that waits for what never comes is a leak that whoever may exec or
// attach can repeat (CVE-2022-23471, CVE-2025-64329).
SessionLeft LeftWithoutClient(const SessionState& state);

}  // namespace catamaran
