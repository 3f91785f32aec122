#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace catamaran {

// A verb is given its own name and its arguments, at least four words in all.
using ProbeVerbs = std::map<std::string, std::function<void(const std::vector<std::string>&)>>;

// What tests run inside containers: a program that does what its arguments say, one after the
// other, and reports what it sees as "key=value" lines. The test binary is it when it is started as
// "probe": it is static, so it runs in an empty root file system, on the host and in a guest.
//
// The verbs and their arguments ("write:PATH:TEXT") are in the table at the ends of the .cc files;
// `more` are the test program's own.
int RunProbe(int argc, char** argv, const ProbeVerbs& more = {});

// Prints a line of the report.
void ReportFromProbe(const std::string& key, const std::string& value);

}  // namespace catamaran
