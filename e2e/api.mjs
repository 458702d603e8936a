// GraphQL in one function, for the scripts that need no client of their own.
import { key, url } from './env.mjs';

/** Runs an operation and returns its data; an error ends the script. */
export async function query(text, variables) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: text, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) {
    console.error(`${text}\n${JSON.stringify(errors, null, 2)}`);
    process.exit(1);
  }
  return data;
}
