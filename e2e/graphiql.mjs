// Opens GraphiQL in Chromium as a person would: types the key, opens an example,
// runs a query and reads the answer. Fails if the page reaches for any other
// host, breaks its own security policy or throws.
//
//   HOLON_URL=http://127.0.0.1:8080 HOLON_KEY=hk_... node graphiql.mjs
//
// CHROMIUM is the browser (/usr/bin/chromium), SCREENSHOT a PNG file to write,
// QUERY and ANSWER another query and a text that its answer must hold.
import { chromium } from 'playwright-core';
import { key, url } from './env.mjs';

const query = process.env.QUERY ?? '{ __typename }';
const answer = process.env.ANSWER ?? '"__typename": "Query"';
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

const problems = [];
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const host = new URL(url).host;
  const watch = (address) => {
    const { protocol, host: reached } = new URL(address);
    if (!['data:', 'blob:'].includes(protocol) && reached !== host) problems.push(`request to another host: ${address}`);
  };
  page.on('request', (request) => watch(request.url()));
  page.on('websocket', (socket) => watch(socket.url()));
  page.on('pageerror', (error) => problems.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('401')) problems.push(`console: ${message.text()}`);
  });

  const state = (wanted) => page.waitForSelector(`#key-state[data-state=${wanted}]`);
  const enter = async (text) => {
    await page.fill('#key', text);
    await page.click('#key-form button');
  };
  const typeQuery = async (text) => {
    await page.click('.graphiql-query-editor .CodeMirror');
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.press('Delete');
    await page.keyboard.insertText(text);
    await page.waitForTimeout(500); // GraphiQL looks for the operation's name a moment later
  };
  const shown = (text) => page.waitForFunction(
    (wanted) => document.querySelector('.graphiql-response .CodeMirror')?.CodeMirror.getValue().includes(wanted), text);

  await page.goto(`${url}/graphiql`);
  await state('none');
  await page.locator('.examples button').first().waitFor(); // open for who comes for the first time
  await enter('hk_this_is_no_key');
  await state('refused');
  await enter(key);
  await state('accepted');

  // the documentation is there once the schema is
  await page.click('button[aria-label="Show Documentation Explorer"]');
  await page.waitForSelector('.graphiql-doc-explorer-title');
  await page.getByText('Root Types').waitFor();
  await page.click('button[aria-label="Show Examples"]');

  const examples = page.locator('.examples button');
  await examples.first().waitFor();
  const title = await examples.last().textContent();
  await examples.last().click();
  await page.waitForFunction(() => document.querySelectorAll('.graphiql-tab').length === 2);
  await page.waitForFunction(() => document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.getValue().includes('__schema'));
  console.log(`opened the example "${title}"`);
  await page.click('button.graphiql-execute-button');
  await shown('"__schema"');

  await typeQuery(query);
  await page.click('button.graphiql-execute-button');
  await shown(answer);
  console.log('ran a query and saw its answer');

  if (process.env.SUBSCRIPTION) {
    await typeQuery(process.env.SUBSCRIPTION);
    await page.click('button.graphiql-execute-button');
    await shown('"data"');
    console.log('saw an event of a subscription');
  }
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });

  // the key is kept for this tab, and not longer unless asked
  await page.reload();
  await state('accepted');
  if (await page.evaluate(() => localStorage.getItem('holon.key'))) problems.push('the key outlives the tab unasked');
} catch (error) {
  problems.push(error.message);
  if (process.env.SCREENSHOT) {
    const [page] = browser.contexts().flatMap((context) => context.pages());
    await page?.screenshot({ path: process.env.SCREENSHOT });
  }
} finally {
  await browser.close();
}
for (const problem of problems) console.log(problem);
console.log(problems.length === 0 ? 'GraphiQL works, and reaches for nothing else' : `GraphiQL: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
