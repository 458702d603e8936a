// Waits until there is a dead letter with a reason whose raw text is as given.
//
//   HOLON_URL=... HOLON_KEY=hk_... node deadletters.mjs MALFORMED 'this is no JSON'
import { query } from './api.mjs';

const [reason, raw] = process.argv.slice(2);
for (const end = Date.now() + 20_000; ; await new Promise((wake) => setTimeout(wake, 100))) {
  const { deadLetters } = await query(
    'query ($reason: DeadLetterReason!) { deadLetters(reason: $reason, first: 100) { nodes { raw source } } }', { reason });
  const found = deadLetters.nodes.find((letter) => letter.raw === raw);
  if (found) {
    console.log(`dead letter from ${found.source}: ${reason} ${raw}`);
    break;
  }
  if (Date.now() > end) {
    console.error(`no dead letter ${reason} ${raw} among ${JSON.stringify(deadLetters.nodes)}`);
    process.exit(1);
  }
}
