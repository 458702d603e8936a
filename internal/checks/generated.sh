#!/usr/bin/env bash
# Fails when the generated code is not what the schema, gqlgen.yml and the
# go:generate lines make. It generates in a copy and changes nothing here.
set -euo pipefail
cd "$(dirname "$0")/../.."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/before"

# Files that git knows or would take: what is ignored is not part of the code.
# A file that was deleted but not yet committed is still listed.
git ls-files --cached --others --exclude-standard -z |
  while IFS= read -r -d '' name; do if [ -e "$name" ]; then printf '%s\0' "$name"; fi; done |
  tar --create --null --files-from=- | tar --extract --directory="$work/before"
cp -R "$work/before" "$work/after"

make --no-print-directory -C "$work/after" generate

if ! diff --recursive --unified "$work/before" "$work/after"; then
  echo "The generated code is not up to date: run make generate and commit what it writes." >&2
  exit 1
fi
