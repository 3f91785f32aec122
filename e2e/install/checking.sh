# What the checks of an installation have in common; sourced.
say() { printf '==> %s (%d s)\n' "$*" "$SECONDS"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
# expect PATTERN COMMAND...: its output has a line of that pattern, whatever its exit code.
expect() {
  local pattern=$1 output
  shift
  output=$("$@" 2>&1) || true
  grep -qE -- "$pattern" <<<"$output" || { echo "$output"; die "no '$pattern' from: $*"; }
}
absent() { local path; for path in "$@"; do [[ ! -e $path && ! -L $path ]] || die "$path is still there"; done; }
# eventually SECONDS COMMAND...
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do ((SECONDS < end)) || die "not after a while: $*"; sleep 1; done
}
