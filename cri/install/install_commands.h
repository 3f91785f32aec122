#pragma once

#include <CLI/App.hpp>

#include "sandbox/base/result.h"

namespace catamaran {

// Adds `guest build` and `node install|remove|leave|pods|stay`. What a command ended with is in
// *outcome once `app` has parsed the command line; it outlives the parsing.
void AddInstallCommands(CLI::App* app, Status* outcome);

}  // namespace catamaran
