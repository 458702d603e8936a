// What every check needs to know about the server.
function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

/** Where Holon answers, without a slash at the end. */
export const url = required('HOLON_URL').replace(/\/+$/, '');

/** An API key of the account under test. */
export const key = required('HOLON_KEY');
