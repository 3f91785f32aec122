#pragma once

#include "cri/streaming/testing/streaming_lab.h"

namespace catamaran {

// Clients that come, leave, and come again, each as a function that says how many threads of the
// server are left of so many sessions.
class SessionAttacks : public StreamingLab {
 protected:
  // CVE-2022-23471: a terminal of a program that is not there.
  long ThreadsLeftOfMissingPrograms(int sessions);
  // CVE-2025-64329: a process that is attached to and left, while it goes on.
  long ThreadsLeftOfAttaching(int sessions);

 private:
  // Above `before`, once no more of them end.
  long ThreadsLeft(long before);
};

}  // namespace catamaran
