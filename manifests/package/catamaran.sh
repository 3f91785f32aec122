#!/bin/sh
# catamaran with the libraries it was built with, wherever this tree lies and whatever the host has.
program=$0
while [ -L "$program" ]; do
  target=$(readlink "$program")
  case $target in /*) program=$target ;; *) program=$(dirname "$program")/$target ;; esac
done
tree=$(cd "$(dirname "$program")/.." && pwd -P) || exit 1
exec "$tree/libexec/ld-linux-x86-64.so.2" --library-path "$tree/lib" "$tree/libexec/catamaran" "$@"
