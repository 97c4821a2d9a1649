# Sourced by the run script of each example: sets everything up, goes to the top of the repository, and makes `$work`, a folder
# that is removed at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup
PATH="$PWD/.venv/bin:$PATH"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Print a command as a person would type it (with `work` for the temporary folder), then run it.
step() {
  printf '\n$ %s\n' "${*//"$work"/work}"
  "$@"
}
