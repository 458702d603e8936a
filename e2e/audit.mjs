// Runs every audit of graphql-http against a server, and fails unless all pass,
// recommendations too.
//
//   HOLON_URL=http://127.0.0.1:8080 HOLON_KEY=hk_... node audit.mjs
import { serverAudits } from 'graphql-http';
import { key, url } from './env.mjs';

const withKey = (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set('Authorization', `Bearer ${key}`);
  return fetch(input, { ...init, headers });
};

const tally = { ok: 0, notice: 0, warn: 0, error: 0 };
for (const audit of serverAudits({ url: `${url}/graphql`, fetchFn: withKey })) {
  const result = await audit.fn();
  tally[result.status]++;
  if (result.status !== 'ok') {
    console.log(`${result.status} ${audit.id} ${audit.name}: ${result.reason}`);
    console.log(`  ${result.response.status} ${await result.response.text()}`);
  }
}
const failed = tally.notice + tally.warn + tally.error;
console.log(`graphql-http audits: ${tally.ok} passed, ${failed} failed`);
process.exit(failed === 0 && tally.ok > 0 ? 0 : 1);
