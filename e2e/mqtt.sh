#!/usr/bin/env bash
# Sends readings with Mosquitto's client, and hears of changes with it: straight at
# Holon's own listener, and through a real Mosquitto as an outside broker. Run by run.sh, which sets
# HOLON_URL, HOLON_KEY, HOLON_ACCOUNT, MQTT_URL, the stores' addresses, and WORK,
# a directory for what is left over.
set -euo pipefail
cd "$(dirname "$0")/.."

host_port="${MQTT_URL#mqtt://}"
host="${host_port%:*}" port="${host_port##*:}"
fail() { echo "$*" >&2; exit 1; }

# publish VERSION PORT USER PASSWORD DEVICE PAYLOAD
publish() {
  timeout 20 mosquitto_pub -V "$1" -h "$host" -p "$2" -q 1 -u "$3" -P "$4" -t "holon/$HOLON_ACCOUNT/readings/$5" -m "$6"
}
at() { echo $(($(date +%s) * 1000 + $1)); } # milliseconds; argument: which one of this second

echo "Holon's own listener at $host_port"
start="$(at 0)"
publish mqttv311 "$port" "$HOLON_ACCOUNT" "$HOLON_KEY" mqtt-own "{\"measuredAt\": $start, \"values\": {\"temperature\": 20}}"
publish mqttv5 "$port" "$HOLON_ACCOUNT" "$HOLON_KEY" mqtt-own \
  "[{\"measuredAt\": $((start + 1)), \"values\": {\"temperature\": 21}}, {\"measuredAt\": $((start + 2)), \"values\": {\"temperature\": 22.5}}]"
# The same again is a repeat.
publish mqttv5 "$port" "$HOLON_ACCOUNT" "$HOLON_KEY" mqtt-own "{\"measuredAt\": $start, \"values\": {\"temperature\": 20}}"
for version in mqttv311 mqttv5; do
  if publish "$version" "$port" "$HOLON_ACCOUNT" hk_this_is_no_key mqtt-own '{"values": {"temperature": 99}}' 2>"$WORK/refused"; then
    fail "a wrong key was accepted ($version)"
  fi
  grep -qiE 'not authori[sz]ed|bad user name or password|refused' "$WORK/refused" || fail "$version: refused, but not for its key: $(cat "$WORK/refused")"
  echo "a wrong key is refused ($version): $(head -1 "$WORK/refused")"
done
node e2e/measured.mjs mqtt-own temperature 20 21 22.5

read -r broker_port metrics_port < <(node e2e/ports.mjs 2)
echo "A Mosquitto at $host:$broker_port, with the shipped settings"
mkdir -p "$WORK/mosquitto"
sed -e "s|^listener .*|listener $broker_port $host|" -e "s|^persistence_location .*|persistence_location $WORK/mosquitto/|" \
  docker/mosquitto.conf >"$WORK/mosquitto.conf"
echo "user $(id -un)" >>"$WORK/mosquitto.conf"
mosquitto -c "$WORK/mosquitto.conf" >"$WORK/mosquitto.log" 2>&1 &
broker=$!
bin/holon gateway --mqtt-addr "" --broker-url "mqtt://$host:$broker_port" --metrics-addr "$host:$metrics_port" >"$WORK/gateway.log" 2>&1 &
gateway=$!
trap 'kill "$broker" "$gateway" 2>/dev/null || true; wait "$broker" "$gateway" 2>/dev/null || true' EXIT

# What docker-compose.yml asks to know whether Mosquitto is healthy.
for _ in $(seq 50); do
  if mosquitto_sub -h "$host" -p "$broker_port" -t '$SYS/broker/uptime' -C 1 -W 3 >/dev/null 2>&1; then break; fi
  kill -0 "$broker" 2>/dev/null || fail "Mosquitto ended: $(cat "$WORK/mosquitto.log")"
  sleep 0.2
done

start="$(at 10)"
first="{\"measuredAt\": $start, \"values\": {\"temperature\": 30}}"
# Until the gateway has subscribed, the broker says that nobody listens (0x10).
# Sent again it is the same reading.
for try in $(seq 100); do
  said="$(timeout 20 mosquitto_pub -d -V mqttv5 -h "$host" -p "$broker_port" -q 1 -t "holon/$HOLON_ACCOUNT/readings/mqtt-broker" -m "$first" 2>&1)"
  if ! grep -q 'RC:16' <<<"$said"; then break; fi
  kill -0 "$gateway" 2>/dev/null || fail "the gateway ended: $(cat "$WORK/gateway.log")"
  [ "$try" -lt 100 ] || fail "the gateway does not subscribe: $(tail -20 "$WORK/gateway.log")"
  sleep 0.2
done
publish mqttv311 "$broker_port" anybody anything mqtt-broker "{\"measuredAt\": $((start + 1)), \"values\": {\"temperature\": 31}}"
publish mqttv5 "$broker_port" anybody anything mqtt-broker "{\"measuredAt\": $((start + 2)), \"values\": {\"temperature\": 32}}"
# What cannot be read ends as a dead letter and blocks nothing.
publish mqttv5 "$broker_port" anybody anything mqtt-broker 'this is no JSON'
publish mqttv311 "$broker_port" anybody anything mqtt-broker "{\"measuredAt\": $((start + 3)), \"values\": {\"temperature\": 33}}"
node e2e/measured.mjs mqtt-broker temperature 30 31 32 33
node e2e/deadletters.mjs MALFORMED 'this is no JSON'
bin/holon health --url "http://$host:$metrics_port/readyz" >/dev/null || fail "the gateway is not ready"

# hears WHO SUBSCRIBER: says whether it is told of a device that is made. Devices
# are made until it is: a gateway publishes what happens from when it begins on.
hears() {
  local try topic
  for try in $(seq 60); do
    node e2e/devices.mjs "mqtt-$1-$try" >/dev/null
    sleep 0.5
    if ! kill -0 "$2" 2>/dev/null; then
      wait "$2" || fail "the subscriber $1 ended: $(cat "$WORK/heard-$1")"
      topic="$(head -1 "$WORK/heard-$1")"
      [[ "$topic" =~ ^holon/$HOLON_ACCOUNT/changes/device/mqtt-$1-[0-9]+/create' '.*'"operation":"CREATE"' ]] || fail "$1 was told: $topic"
      return
    fi
  done
  fail "$1 is told of no change: $(tail -20 "$WORK/gateway.log")"
}
for version in mqttv311 mqttv5; do
  timeout 90 mosquitto_sub -V "$version" -h "$host" -p "$port" -q 1 -u any -P "$HOLON_KEY" -v -C 1 \
    -t "holon/$HOLON_ACCOUNT/changes/device/+/create" >"$WORK/heard-own-$version" 2>&1 &
  hears "own-$version" $!
done
timeout 90 mosquitto_sub -V mqttv5 -h "$host" -p "$broker_port" -q 1 -v -C 1 \
  -t "holon/$HOLON_ACCOUNT/changes/device/+/create" >"$WORK/heard-broker" 2>&1 &
hears broker $!
# What the client returns then depends on its version; what it says does not.
timeout 20 mosquitto_sub -V mqttv5 -h "$host" -p "$port" -q 1 -u any -P "$HOLON_KEY" -C 1 -t '#' >"$WORK/heard-all" 2>&1 || true
grep -qi 'denied\|not authori[sz]ed' "$WORK/heard-all" || fail "somebody subscribes to everything: $(cat "$WORK/heard-all")"
echo "changes are told at the listener and through the broker"

kill "$gateway"
wait "$gateway" || fail "the gateway did not end well: $(tail -20 "$WORK/gateway.log")"
echo "MQTT: own listener and outside broker are well"
