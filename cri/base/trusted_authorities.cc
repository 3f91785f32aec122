#include "cri/base/trusted_authorities.h"

#include <unistd.h>

#include <initializer_list>

namespace catamaran {

const char* TrustedAuthoritiesFile() {
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt",                 // Debian, Arch
                           "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL
                           "/etc/ssl/ca-bundle.pem",                             // SUSE
                           "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"})
    if (access(file, R_OK) == 0) return file;
  return nullptr;
}

}  // namespace catamaran
