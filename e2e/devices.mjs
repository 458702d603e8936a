// Makes the devices that the other scripts use, from the open template.
//
//   HOLON_URL=... HOLON_KEY=hk_... node devices.mjs sensor-1 sensor-2
import { query } from './api.mjs';

const references = process.argv.slice(2);
for (const reference of references) {
  await query('mutation ($reference: String!) { createDevice(input: {reference: $reference}) { device { id } } }', { reference });
}
console.log(`made ${references.length} devices`);
