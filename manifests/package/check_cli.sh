#!/usr/bin/env bash
# That man page and completion know every command and option of the program, and no others, and the
# configuration's page every key of the example.
# usage: check_cli.sh CATAMARAN
set -euo pipefail
program=$1
manifests=$(dirname "$(readlink -f "$0")")/..
page=$manifests/man/catamaran.8
. "$manifests/completion/catamaran"
wrong=0
complain() { echo "$*"; wrong=$((wrong + 1)); }

# section COMMAND: what the page says of it.
section() {
  sed 's/\\-/-/g' "$page" | awk -v name="catamaran $1" '
    /^\.S[SH]/ { title = $0; sub(/^\.S[SH] /, "", title); inside = title == name || index(title, name " [") == 1 ||
                 title ~ ("^" name " [A-Z]+$") }
    inside'
}
common=$(sed 's/\\-/-/g' "$page" | sed -n '/^\.SS Options of several commands/,/^\.SH/p')

# Words of a help's part, one a line: "Options" or "Subcommands".
options() { sed -n 's/^  \(-[^ ]*\).*/\1/p' | tr ',' '\n' | grep '^--'; }
subcommands() { sed -n '/^Subcommands:/,$ s/^  \([a-z][a-z-]*\) .*/\1/p'; }

# completed COMMAND PREFIX: what the completion offers.
completed() {
  local -a words
  read -ra words <<<"$1"
  COMP_WORDS=(catamaran ${words[@]+"${words[@]}"} "$2") COMPREPLY=()
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _catamaran
  ((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
}

check() {
  local command=$1 help option name text offered
  # Whole before it is searched: a grep that ends early would end what still writes to it.
  text=$(section "$command" && echo "$common")
  # shellcheck disable=SC2086
  help=$("$program" $command --help)
  if [[ -n $command && -z $(subcommands <<<"$help") && -z $(section "$command") ]]; then
    complain "$page: no section for catamaran $command"
  fi
  while read -r option; do
    offered=$(completed "$command" "$option")
    grep -qx -- "$option" <<<"$offered" || complain "completion: catamaran $command lacks $option"
    grep -qE -- "(^| |\"|,)$option([ \",]|$)" <<<"$text" ||
      complain "$page: catamaran $command lacks $option"
  done < <(options <<<"$help")
  while read -r option; do
    [[ -z $option ]] || grep -qx -- "$option" <<<"$(options <<<"$help")" ||
      complain "completion: catamaran $command has no $option"
  done < <(completed "$command" --)
  while read -r option; do
    grep -qx -- "$option" <<<"$(options <<<"$help")" || complain "$page: catamaran $command has no $option"
  done < <([[ -z $command ]] || section "$command" | sed -n 's/^\.BI\{0,1\} \(--[a-z-]*\).*/\1/p')
  for name in $(subcommands <<<"$help"); do
    grep -qx -- "$name" <<<"$(completed "$command" "$name")" || complain "completion: catamaran $command lacks $name"
    check "${command:+$command }$name"
  done
}
check ''

# Commands that the page has and the program has not.
while read -r command; do
  # shellcheck disable=SC2086
  "$program" $command --help >/dev/null 2>&1 || complain "$page: there is no catamaran $command"
done < <(sed -n 's/^\.SS catamaran \([a-z -]*[a-z]\).*/\1/p' "$page")

while read -r key; do
  grep -q "\b$key\b" "$manifests/man/catamaran-config.5" || complain "catamaran-config.5 lacks the key $key"
done < <(sed -n 's/^  *#\{0,1\} *[-{ ]*\([a-z_0-9]*\):\( .*\)\{0,1\}$/\1/p; s/^\([a-z_]*\):.*/\1/p' "$manifests/catamaran.yaml" | sort -u)

((wrong == 0)) || { echo "$wrong differences between the program and its documentation"; exit 1; }
echo "man pages and completion are the program's"
