#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "cri/doctor/testing/doctor_world.h"

namespace catamaran {

inline constexpr auto kOk = FindingStatus::kOk;
inline constexpr auto kDegraded = FindingStatus::kDegraded;
inline constexpr auto kMissing = FindingStatus::kMissing;

// What a line says once its thing is broken: parts of its fact and of its remedy.
struct Turned {
  std::string name;
  FindingStatus status;
  std::string seen, remedy;
};
void CheckLine(const Turned& turned, const DoctorOutcome& outcome);

struct Row {
  std::string title;
  DoctorRun run;
  std::vector<Turned> turned;
  std::vector<std::string> gone = {};  // lines that have nothing to say any more
  std::string needs = "";              // a file that this host must have
};
inline void PrintTo(const Row& row, std::ostream* out) { *out << row.title; }
inline std::string NameOfRow(const ::testing::TestParamInfo<Row>& info) {
  return NameOf(info.param);
}

// A host with one thing broken: exactly the lines turn that ask for it. Each file of rows
// instantiates it.
class Broken : public ::testing::TestWithParam<Row> {};

// The lines that a shim says of each host, of namespaces and of VMs.
std::vector<std::string> HostLines();
std::vector<std::string> NamespaceLines();  // without "erofs", which is said where no shim is asked
std::vector<std::string> VmLines();
std::vector<std::string> operator+(std::vector<std::string> one,
                                   const std::vector<std::string>& more);

}  // namespace catamaran
