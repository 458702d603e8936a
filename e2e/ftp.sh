#!/usr/bin/env bash
# Sends files with curl, over FTP and over FTPS, to a gateway of its own. Run by
# run.sh, which sets HOLON_URL, HOLON_KEY, the stores' addresses, and WORK, a
# directory for what is left over.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "$*" >&2; exit 1; }
host=127.0.0.1
read -r port metrics_port < <(node e2e/ports.mjs 2)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=$host" \
  -keyout "$WORK/ftp-key.pem" -out "$WORK/ftp-cert.pem" 2>/dev/null

gateway=""
# serve FLAGS: starts the gateway and waits until it is ready.
serve() {
  bin/holon gateway --mqtt-addr "" --ftp-listen "$host:$port" --ftp-directory "$WORK/ftp" --metrics-addr "$host:$metrics_port" "$@" >"$WORK/ftp.log" 2>&1 &
  gateway=$!
  for _ in $(seq 150); do
    if bin/holon health --url "http://$host:$metrics_port/readyz" >/dev/null 2>&1; then return; fi
    kill -0 "$gateway" 2>/dev/null || fail "the gateway ended: $(cat "$WORK/ftp.log")"
    sleep 0.2
  done
  fail "the gateway is not ready: $(cat "$WORK/ftp.log")"
}
trap 'kill "$gateway" 2>/dev/null || true; wait "$gateway" 2>/dev/null || true' EXIT
# ask PATH …: curl with a key.
ask() { curl --silent --show-error --max-time 30 --user "any:$HOLON_KEY" "${@:2}" "ftp://$host:$port/$1"; }
# await PATH TEXT: waits until a file is there and has a text.
await() {
  for _ in $(seq 100); do
    if [[ "$(ask "$1" 2>/dev/null || true)" == *"$2"* ]]; then return; fi
    sleep 0.2
  done
  fail "$1 is not there, or has no $2: $(cat "$WORK/ftp.log")"
}
line() { echo "{\"device\": \"ftp-1\", \"measuredAt\": \"2026-02-01T00:00:0$1Z\", \"values\": {\"temperature\": $2}}"; }

serve
{ line 0 10; line 1 11; } >"$WORK/first.ndjson"
ask readings/ --upload-file "$WORK/first.ndjson"
await done/readings/first.ndjson '"temperature": 11'
if ask readings/ --upload-file "$WORK/first.ndjson" --user any:hk_this_is_no_key 2>"$WORK/refused"; then fail "a wrong key was accepted"; fi
grep -qi 'denied' "$WORK/refused" || fail "refused, but not for its key: $(cat "$WORK/refused")"
if ask '' --ssl-reqd --insecure >/dev/null 2>&1; then fail "it encrypts without a certificate"; fi
{ line 2 12; echo 'this line of a file is no JSON'; line 3 13; } >"$WORK/second.ndjson"
ask readings/of/today/ --ftp-create-dirs --upload-file "$WORK/second.ndjson"
await failed/readings/of/today/second.ndjson.report.ndjson '"line":2,"code":"MALFORMED"'
# A client that dies in the middle leaves nothing.
mkfifo "$WORK/slow"
curl --silent --user "any:$HOLON_KEY" --upload-file - "ftp://$host:$port/readings/slow.ndjson" <"$WORK/slow" &
slow=$!
exec 9>"$WORK/slow"
line 4 99 >&9
for _ in $(seq 100); do
  if compgen -G "$WORK/ftp/*/state/*.part" >/dev/null; then break; fi
  sleep 0.1
done
compgen -G "$WORK/ftp/*/state/*.part" >/dev/null || fail "the upload does not begin: $(cat "$WORK/ftp.log")"
kill -9 "$slow"
wait "$slow" 2>/dev/null || true
exec 9>&-
for _ in $(seq 100); do
  if ! compgen -G "$WORK/ftp/*/state/*.part" >/dev/null; then break; fi
  sleep 0.1
done
names=$(ask readings/ --list-only) || fail "readings/ cannot be listed"
[[ "$names" != *slow* ]] || fail "an upload that was broken off is there: $names"
names=$(ask done/readings/ --list-only) || fail "done/readings/ cannot be listed"
[[ "$names" == *first.ndjson* && "$names" != *slow* ]] || fail "done/readings/ is to have what was taken in, and not what was broken off: $names"
node e2e/measured.mjs ftp-1 temperature 10 11 12 13
node e2e/deadletters.mjs MALFORMED 'this line of a file is no JSON'
kill "$gateway"
wait "$gateway" || fail "the gateway did not end well: $(tail -20 "$WORK/ftp.log")"

serve --ftp-tls-cert "$WORK/ftp-cert.pem" --ftp-tls-key "$WORK/ftp-key.pem"
line 5 14 >"$WORK/third.ndjson"
if ask readings/ --upload-file "$WORK/third.ndjson" 2>/dev/null; then fail "it takes what is not encrypted"; fi
ask readings/ --ssl-reqd --insecure --upload-file "$WORK/third.ndjson"
node e2e/measured.mjs ftp-1 temperature 10 11 12 13 14
kill "$gateway"
wait "$gateway" || fail "the gateway did not end well: $(tail -20 "$WORK/ftp.log")"
echo "FTP and FTPS are well"
