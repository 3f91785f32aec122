#pragma once

namespace catamaran {

// What tests run inside containers: a program that does what its arguments say, one after the
// other, and reports what it sees as "key=value" lines. The test binary is it when it is started as
// "probe": it is static, so it runs in an empty root file system, on the host and in a guest.
//
// The verbs and their arguments ("write:PATH:TEXT") are in the table at the end of the .cc file.
int RunProbe(int argc, char** argv);

}  // namespace catamaran
