// Renders every Mermaid diagram of the repository's documents in Chromium, as
// code hosts do, and fails unless all can be.
//
// CHROMIUM is the browser (/usr/bin/chromium).
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { chromium } from 'playwright-core';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const library = fileURLToPath(import.meta.resolve('@mermaid-js/tiny/dist/mermaid.tiny.js'));

const diagrams = [];
const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z', '*.md'], { cwd: root, encoding: 'utf8' });
for (const name of listed.split('\0').filter((name) => name && existsSync(path.join(root, name)))) {
  const text = readFileSync(path.join(root, name), 'utf8');
  for (const found of text.matchAll(/^( *)```mermaid *\n([\s\S]*?)^\1``` *$/gm)) {
    const line = text.slice(0, found.index).split('\n').length;
    diagrams.push({ at: `${name}:${line}`, text: found[2] });
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
const render = (page, text) => page.evaluate(async ([source, id]) => {
  try {
    const { svg } = await globalThis.mermaid.render(id, source);
    return svg.includes('<svg') && !svg.includes('Syntax error') ? null : 'it renders to nothing';
  } catch (error) {
    return error.message;
  }
}, [text, `diagram${Math.random().toString(36).slice(2)}`]);

let failed = 0;
try {
  const page = await browser.newPage();
  await page.setContent('<!doctype html><body></body>');
  await page.addScriptTag({ path: library });
  await page.evaluate(() => globalThis.mermaid.initialize({ startOnLoad: false, securityLevel: 'strict' }));
  if (!await render(page, 'flowchart LR\n  a --> --> b')) {
    console.log('a wrong diagram renders: this check finds nothing');
    failed++;
  }
  for (const { at, text } of diagrams) {
    const problem = await render(page, text);
    if (problem) {
      console.log(`${at}: ${problem}`);
      failed++;
    }
  }
} finally {
  await browser.close();
}
if (diagrams.length === 0) console.log('no document has a diagram');
console.log(`Mermaid: ${diagrams.length} diagrams, ${failed} problems`);
process.exit(failed === 0 && diagrams.length > 0 ? 0 : 1);
