#pragma once

#include <string>

namespace catamaran {

// A key and its certificate, PEM. Valid for a day, for 127.0.0.1 and localhost.
struct TestCertificate {
  std::string certificate;
  std::string key;
};
// One that signs others, and itself.
TestCertificate MakeAuthority(const std::string& name);
TestCertificate MakeCertificate(const std::string& name, const TestCertificate& authority);

// A signed JSON web token (RS256) that carries its certificate (x5c), as docker-registry takes it.
std::string SignToken(const std::string& claims, const TestCertificate& signer);

}  // namespace catamaran
