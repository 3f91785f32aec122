#!/usr/bin/env bash
# The layout's rules, checked: who may include whom, file sizes, #pragma once, a README per folder.
# Prints every breach as FILE:LINE: RULE and fails if there was one.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
breaches=0
breach() { echo "$1"; breaches=$((breaches + 1)); }

mapfile -t sources < <(git ls-files -co --exclude-standard '*.h' '*.cc')

# forbid FOLDER INCLUDE-REGEX RULE: no file below FOLDER includes what matches.
forbid() {
  local folder=$1 pattern=$2 rule=$3 hit
  while read -r hit; do
    [[ -z $hit ]] || breach "$hit: $rule"
  done < <(printf '%s\n' "${sources[@]}" | grep "^$folder" | grep -v "${4:-^$}" |
    xargs -r grep -HnE "^#include [\"<]($pattern)" | cut -d: -f1,2)
}
# Dependencies only downward: e2e -> cri -> shim -> vm-backend -> sandbox.
forbid sandbox/ 'vm-backend/|shim/|cri/|e2e/' 'sandbox/ includes only sandbox/'
forbid vm-backend/ 'shim/|cri/|e2e/' 'vm-backend/ includes only itself and sandbox/'
forbid shim/ 'cri/|e2e/' 'shim/ includes only itself, vm-backend/ and sandbox/'
forbid cri/ 'e2e/|vm-backend/' 'cri/ never includes vm-backend/ or e2e/'
forbid cri/ 'sandbox/container/|sandbox/backend/namespace' 'cri/ knows no engine: only the seam and the client'
forbid sandbox/base/ 'sandbox/(kernel|container|backend|protocol)/' 'sandbox/base/ is the bottom'
forbid sandbox/kernel/ 'sandbox/(container|backend|protocol)/' 'sandbox/kernel/ stands on base/ alone'
# The seam's header is the engine's vocabulary too; what stands behind or before it is not.
forbid sandbox/container/ 'sandbox/(backend/(namespace|fake)|protocol/)' 'the engine does not know its callers' '^sandbox/container/.*_test.cc'
# gRPC costs a dozen seconds of compile time per file: the server and the command line's client have it.
forbid '\(sandbox\|vm-backend\|shim\|cri\)/' 'grpc' 'only cri/service/grpc_*.cc include gRPC' '^cri/service/grpc_'

for file in "${sources[@]}"; do
  [[ -f $file ]] || continue
  lines=$(wc -l <"$file")
  ((lines <= 600)) || breach "$file:$lines: a file has at most 600 lines (near 100 is pleasant)"
  if [[ $file == *.h ]] && ! grep -q '^#pragma once$' "$file"; then
    breach "$file:1: a header starts with #pragma once"
  fi
done

# Whoever opens a folder of code finds out there what it is and who may call it.
while read -r folder; do
  [[ -f $folder/README.md ]] || breach "$folder: a folder of code has a README.md of one screen"
done < <(printf '%s\n' "${sources[@]}" | xargs -n1 dirname | sort -u)

((breaches == 0)) || { echo "$breaches breaches of the layout's rules"; exit 1; }
echo "layout: ${#sources[@]} files keep the rules"
