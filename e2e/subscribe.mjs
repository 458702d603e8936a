// Follows a device while its readings come in, cuts the socket in the middle
// without a word, goes on after the last cursor, and fails unless every reading
// was seen exactly once and in order, those sent while the socket was cut too.
//
//   HOLON_URL=http://127.0.0.1:8080 HOLON_KEY=hk_... DEVICE=sensor-1 node subscribe.mjs
//
// MEASURE is a measure of the device with numbers (temperature), EVENTS how many
// readings are sent (12), UNDER a group to follow instead of the device's id.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { key, url } from './env.mjs';

const device = process.env.DEVICE ?? 'sensor-1';
const measure = process.env.MEASURE ?? 'temperature';
const total = Number(process.env.EVENTS ?? 12);
const patience = 30_000; // milliseconds
const authorization = { Authorization: `Bearer ${key}` };

function fail(message) {
  console.error(message);
  process.exit(1);
}

async function post(path, body) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...authorization },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) fail(`POST ${path}: ${response.status} ${text}`);
  return text && JSON.parse(text);
}

async function query(text, variables) {
  const { data, errors } = await post('/graphql', { query: text, variables });
  if (errors) fail(`${text}: ${JSON.stringify(errors)}`);
  return data;
}

async function until(what, done) {
  for (const end = Date.now() + patience; !(await done()); await new Promise((wake) => setTimeout(wake, 20))) {
    if (Date.now() > end) fail(`in vain for ${patience / 1000} s: ${what}`);
  }
}

const found = await query('query ($reference: String!) { device(reference: $reference) { id } }', { reference: device });
if (!found.device) fail(`there is no device ${device}`);
const filter = process.env.UNDER ? { under: process.env.UNDER } : { ids: [found.device.id] };

const sent = []; // milliseconds at which the readings were measured
const seen = [];
let cursor = null;

// follow opens a socket of its own and subscribes; cut breaks it as a network
// does, without a close frame.
async function follow() {
  let socket;
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: authorization,
    retryAttempts: 0,
    on: { connected: (opened) => { socket = opened; } },
  });
  let cutting = false;
  client.subscribe({
    query: `subscription ($ids: [ID!], $under: String, $after: String) {
      twinChanged(ids: $ids, under: $under, after: $after) { cursor at twin { id } values { measure value measuredAt } }
    }`,
    variables: { ...filter, after: cursor },
  }, {
    next: ({ data, errors }) => {
      if (errors) fail(`event: ${JSON.stringify(errors)}`);
      const change = data.twinChanged;
      cursor = change.cursor;
      if (change.twin?.id !== found.device.id) return;
      for (const value of change.values) if (value.measure === measure) seen.push(Date.parse(value.measuredAt));
    },
    error: (problem) => { if (!cutting) fail(`subscription: ${problem.reason ?? JSON.stringify(problem)}`); },
    complete: () => { if (!cutting) fail('the server completed the subscription'); },
  });
  await until('a socket', () => socket);
  return {
    cut() {
      cutting = true;
      socket.terminate();
    },
    async close() {
      cutting = true;
      await client.dispose();
    },
  };
}

// send sends readings one by one, each when the one before is the live value:
// readings that are stored together may make one event.
async function send(count) {
  for (let n = 0; n < count; n++) {
    const measuredAt = Math.max(Date.now(), (sent.at(-1) ?? 0) + 1);
    await post('/v1/readings', { device, measuredAt, values: { [measure]: 20 + sent.length / 10 } });
    sent.push(measuredAt);
    await until('the reading becomes the live value', async () => {
      const { device: now } = await query(
        'query ($reference: String!) { device(reference: $reference) { live { measure measuredAt } } }', { reference: device });
      return now.live.some((value) => value.measure === measure && Date.parse(value.measuredAt) >= measuredAt);
    });
  }
}

const third = Math.ceil(total / 3);
const first = await follow();
// nothing says when a subscription without a cursor begins but its first event
while (seen.length === 0) {
  await send(1);
  await new Promise((wake) => setTimeout(wake, 50));
}
await until('the event of the newest reading', () => seen.at(-1) === sent.at(-1));
sent.length = 0;
seen.length = 0;

await send(third);
await until('the events of the first readings', () => seen.length >= third);
first.cut();
const before = seen.length;
await send(third);
const second = await follow();
await send(total - 2 * third);
await until(`all events: ${seen.length} of ${total}`, () => seen.length >= total);
await new Promise((wake) => setTimeout(wake, 300)); // time for what comes twice
await second.close();

if (JSON.stringify(seen) !== JSON.stringify(sent)) fail(`sent ${sent}\nseen ${seen}`);
console.log(`saw all ${total} readings once and in order, ${before} before the cut and ${total - before} after it`);
process.exit(0);
