#include <netdb.h>

// Part of every static test program. GoogleTest can send its results to a host by name; glibc's
// resolver loads modules at run time, which a static program must not count on, and the linker
// warns of it. No test asks for that: there is no resolver.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
  return EAI_FAIL;
}
extern "C" void freeaddrinfo(addrinfo*) noexcept {}
