// Sends readings over the WebSocket of readings, breaks the connection without a
// word while some are not acknowledged, resumes, and fails unless each became one
// measurement. Its readings carry no time, so only the session tells repeats.
//
//   HOLON_URL=http://127.0.0.1:8080 HOLON_KEY=hk_... DEVICE=sensor-2 node stream.mjs
//
// MEASURE is a measure of the device with numbers (temperature).
import WebSocket from 'ws';
import { key, url } from './env.mjs';

const device = process.env.DEVICE ?? 'sensor-2';
const measure = process.env.MEASURE ?? 'temperature';
const total = 20;
const begin = Date.now();
const address = `${url.replace(/^http/, 'ws')}/v1/stream?session=e2e-${begin}`;

function fail(message) {
  console.error(message);
  process.exit(1);
}
setTimeout(() => fail('in vain for 60 s'), 60_000).unref();

/** Sends what the server does not have yet; resolves when all is acknowledged, or at the cut. */
function connect(cutAt) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address, { headers: { Authorization: `Bearer ${key}` } });
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('message', (text) => {
      const told = JSON.parse(text);
      if ('resume' in told) {
        // Two more than are needed: what is sent again is not queued again.
        for (let seq = Math.max(told.resume - 1, 1); seq <= total; seq++) {
          socket.send(JSON.stringify({ seq, readings: { device, values: { [measure]: seq } } }));
        }
      } else if (told.error) {
        fail(JSON.stringify(told.error));
      } else if (told.ack >= (cutAt ?? total)) {
        if (cutAt) socket.terminate();
        else socket.close();
      }
    });
  });
}

async function values() {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify({
      query: `query ($device: String!, $measure: String!, $from: DateTime!, $to: DateTime!) {
        device(reference: $device) { samples(measure: $measure, from: $from, to: $to) { value } } }`,
      variables: { device, measure, from: new Date(begin - 1000), to: new Date(Date.now() + 60_000) },
    }),
  });
  const { data, errors } = await response.json();
  if (errors) fail(JSON.stringify(errors));
  return data.device.samples.value;
}

await connect(1);
await connect();
let stored = [];
for (const end = Date.now() + 30_000; stored.length < total && Date.now() < end; ) {
  stored = await values();
  await new Promise((wake) => setTimeout(wake, 50));
}
const want = Array.from({ length: total }, (_, i) => i + 1);
if (JSON.stringify(stored) !== JSON.stringify(want)) fail(`stored are ${stored}, and not 1 to ${total}, each once`);
console.log(`${total} readings over two connections: each is stored once, in order`);
