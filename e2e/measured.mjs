// Waits until a device's measure has exactly these numbers, oldest first.
//
//   HOLON_URL=... HOLON_KEY=hk_... node measured.mjs sensor-1 temperature 20 20.5
import { query } from './api.mjs';

const [device, measure, ...numbers] = process.argv.slice(2);
const wanted = JSON.stringify(numbers.map(Number));
const patience = 20_000; // milliseconds

let found;
for (const end = Date.now() + patience; ; await new Promise((wake) => setTimeout(wake, 100))) {
  const data = await query(`query ($device: String!, $measure: String!, $to: DateTime!) {
    device(reference: $device) { samples(measure: $measure, from: "2000-01-01T00:00:00Z", to: $to) { value } }
    deadLetters(first: 10) { nodes { deviceReference message raw } }
  }`, { device, measure, to: new Date(Date.now() + 60_000).toISOString() });
  found = JSON.stringify(data.device?.samples.value ?? null);
  if (found === wanted) break;
  if (Date.now() > end) {
    console.error(`${device} ${measure}: ${found} is stored, and not ${wanted}`);
    console.error(`dead letters: ${JSON.stringify(data.deadLetters.nodes)}`);
    process.exit(1);
  }
}
console.log(`${device} ${measure}: ${found}`);
