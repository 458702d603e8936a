#!/usr/bin/env bash
# End-to-end tests: a real Holon on real stores, asked by a browser, by npm
# clients, by Mosquitto and by curl. Ends with a status other than 0 if any fails.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=""
for program in node npm curl openssl mosquitto mosquitto_pub mosquitto_sub; do
  command -v "$program" >/dev/null || missing="$missing $program"
done
# Debian keeps the broker where only root's PATH looks.
if [[ " $missing " == *" mosquitto "* && -x /usr/sbin/mosquitto ]]; then
  PATH="$PATH:/usr/sbin"
  missing="${missing/ mosquitto/}"
fi
if [ -z "${CHROMIUM:-}" ]; then
  for browser in chromium chromium-browser google-chrome; do
    if CHROMIUM="$(command -v "$browser")"; then break; fi
  done
fi
[ -n "${CHROMIUM:-}" ] || missing="$missing chromium"
if [ -n "$missing" ]; then
  echo "The end-to-end tests need these programs, which are not on the PATH:$missing" >&2
  echo "On Debian: apt-get install nodejs npm curl openssl chromium mosquitto mosquitto-clients (Node 20 or later)" >&2
  exit 1
fi
export CHROMIUM
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  echo "The end-to-end tests need Node 20 or later, and this is $(node --version)" >&2
  exit 1
fi
[ -x bin/holon ] || make --no-print-directory bin/holon
# npm writes down what it installed; what it wrote is older when package-lock.json has changed.
if [ ! e2e/node_modules/.package-lock.json -nt e2e/package-lock.json ]; then
  npm ci --prefix e2e --no-audit --no-fund
fi

WORK="$(mktemp -d)"
export WORK
bin/holon dev --data "$WORK/data" --env-file "$WORK/env" --metrics-addr 127.0.0.1:0 >"$WORK/holon.log" 2>&1 &
holon=$!
finish() {
  kill "$holon" 2>/dev/null || true
  wait "$holon" 2>/dev/null || true
  rm -rf "$WORK"
}
trap finish EXIT

echo "Starting Holon and its stores …"
for _ in $(seq 1800); do
  [ ! -f "$WORK/env" ] || break
  if ! kill -0 "$holon" 2>/dev/null; then
    cat "$WORK/holon.log" >&2
    exit 1
  fi
  sleep 0.1
done
if [ ! -f "$WORK/env" ]; then
  echo "Holon is not ready after three minutes:" >&2
  tail -40 "$WORK/holon.log" >&2
  exit 1
fi
set -a
# shellcheck disable=SC1091 # written a moment ago
. "$WORK/env"
set +a

failed=()
check() {
  local name="$1" began="$SECONDS"
  shift
  echo "── $name"
  if "$@"; then
    echo "── $name: passed in $((SECONDS - began)) s"
  else
    failed+=("$name")
    echo "── $name: FAILED"
  fi
}
check devices node e2e/devices.mjs sensor-1 sensor-2 mqtt-own mqtt-broker ftp-1
check audit node e2e/audit.mjs
check graphiql env QUERY='{ device(reference: "sensor-1") { reference } }' ANSWER='"reference": "sensor-1"' node e2e/graphiql.mjs
check subscribe env DEVICE=sensor-1 node e2e/subscribe.mjs
check stream env DEVICE=sensor-2 node e2e/stream.mjs
check mqtt ./e2e/mqtt.sh
check ftp ./e2e/ftp.sh
check mermaid node e2e/mermaid.mjs

kill "$holon"
if ! wait "$holon"; then
  failed+=("the end of holon dev")
fi
if [ "${#failed[@]}" -gt 0 ]; then
  echo "The last words of Holon:" >&2
  tail -40 "$WORK/holon.log" >&2
  (IFS=,; echo "End-to-end tests that failed: ${failed[*]}" >&2)
  exit 1
fi
echo "All end-to-end tests passed."
