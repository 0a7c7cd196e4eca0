#!/usr/bin/env bash
# Everything that must hold before a change lands; ends with how much passed and how much failed.
# CHECK_NODE_VERSIONS: the majors of Node that the tests run on, this one if unset. The others come from npm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=${passed:-0}
failed=${failed:-0}

step () {
  local name=$1 begun=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then
    passed=$((passed + 1))
    printf 'passed: %s (%s s)\n' "$name" $((SECONDS - begun))
  else
    failed=$((failed + 1))
    printf 'FAILED: %s (%s s)\n' "$name" $((SECONDS - begun)) | tee -a "$scratch/failures"
  fi
}

major () {
  node -p 'process.versions.node.split(".")[0]'
}

# The package that npm's `node` would install in a script of its own: scripts are off here.
node_package () {
  node -p '[process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node", process.platform, process.arch].join("-")'
}

# Prints the folder that holds this major of Node.
node_folder () {
  local package
  if [ "$(major)" = "$1" ]; then dirname "$(node -p process.execPath)"; return; fi
  package=$(node_package)
  [ -d "$scratch/node-$1" ] || npm install --silent --no-audit --no-fund --prefix "$scratch/node-$1" "$package@$1" >&2 || return
  echo "$scratch/node-$1/node_modules/$package/bin"
}

# tap ends with a line such as "# { total: 12, pass: 11, fail: 1, skip: 0 }".
count () {
  sed -n "s/^# {.*[{ ]$1: \([0-9][0-9]*\).*}.*/\1/p" "$2" | tail -n 1
}

# The major of Node, and the script of package.json, in this folder.
tests () {
  local folder status=0 log pass fail skip
  log=$(mktemp "$scratch/log.XXXX")
  folder=$(node_folder "$1") || return
  PATH="$folder:$PATH" node --version
  [ "$(PATH="$folder:$PATH" major)" = "$1" ] || { echo "this is not Node $1"; return 1; }
  PATH="$folder:$PATH" npm run --silent "$2" 2>&1 | tee "$log" || status=$?
  pass=$(count pass "$log")
  fail=$(count fail "$log")
  skip=$(count skip "$log")
  grep -a -A 12 -E '^ *not ok ' "$log" | grep -a -v '# SKIP' | tail -n 200 >> "$scratch/failures" || true
  passed=$((passed + ${pass:-0}))
  failed=$((failed + ${fail:-0}))
  [ "${pass:-0}" -gt 0 ] || { echo 'no test ran'; return 1; }
  [ "${skip:-0}" = 0 ] || { echo "$skip tests were skipped"; return 1; }
  return "$status"
}

sources () {
  step 'lint' npm run --silent lint
  step 'types, TypeScript 6' npm run --silent types
  step 'types, TypeScript 7' npx --yes -p typescript@7 tsc --noEmit -p .
  step 'scan: secrets, lockfiles, licences, advisories' npm run --silent scan
}

package () {
  step 'package: build, publint, attw, import and require' npm run --silent smoke
  step 'first contact: both templates and init from the tarball' node scripts/first-contact.mjs --check
  step 'demo' npm run --silent demo
}

# Runs beside what follows, and prints when `join` waits for it.
beside () {
  local name=$1
  shift
  (passed=0 failed=0; "$@"; echo "$passed $failed" > "$scratch/$name-counts") > "$scratch/$name-log" 2>&1 &
  eval "${name}_job=$!"
}

join () {
  local job="$1_job" own_passed own_failed
  wait "${!job}" || true
  cat "$scratch/$1-log"
  read -r own_passed own_failed < "$scratch/$1-counts" || { own_passed=0; own_failed=1; }
  passed=$((passed + own_passed))
  failed=$((failed + own_failed))
}

# In a folder of its own: two runs of tap in one would remove what the other has written.
copy_for_scans () {
  local entry
  rm -rf "$copy"
  mkdir -p "$copy"
  for entry in $(ls -A); do
    case $entry in .build | .tap | dist) ;; *) cp -al "$entry" "$copy/" 2> /dev/null || cp -a "$entry" "$copy/" ;; esac
  done
}

# Behind the others: the scans have time, and the tests beside them were a third slower when both had the same.
scans () {
  renice -n 10 "$BASHPID" > /dev/null || true
  cd "$copy"
  # On the newest: it starts fastest, and the oldest has run all others.
  step 'npm run test:once: TLS scan, pages in Chromium, documents, whole applications' tests "$newest" test:once
  rm -rf "$copy"
}

versions=${CHECK_NODE_VERSIONS:-$(major)}
newest=${versions##* }
copy=$PWD/.build/once
# The scans wait much, for browsers and for a scanner of TLS, and the package waits for npm: each takes what the others leave.
# The copy is complete before the package's build writes into this folder.
node_folder "$newest" > /dev/null || true
copy_for_scans
beside scans scans
beside package package
sources
join package
for version in $versions; do step "npm test, Node $version" tests "$version" test; done
join scans
# Once more, where a log that is cut in its middle still shows it.
[ ! -s "$scratch/failures" ] || { printf '\n== what failed\n'; cat "$scratch/failures"; }
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
