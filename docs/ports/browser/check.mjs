// check.mjs - the page in a headless browser: it trains, the loss falls, it translates, and the
// console stays empty.  node check.mjs PAGE [FOLDER for screenshots] [STEPS]
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const [page, folder, steps = 60] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), 'page-'));
const browser = spawn(process.env.BROWSER || 'chromium', ['--headless=new', '--no-sandbox',
    '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-pipe', '--no-first-run',
    `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const pending = new Map(), said = [];
let session, sent = 0, text = '';

browser.on('error', error => end(1, error.message));
setTimeout(() => end(1, 'too slow'), 300000).unref();
browser.stdio[4].on('data', data => {                       // messages end with a NUL
    const parts = (text + data).split('\0');
    text = parts.pop();
    for (const { id, method, params, result, error } of parts.map(JSON.parse)) {
        if (id) pending.get(id)(error ? { error } : result);
        if (method === 'Runtime.exceptionThrown') said.push(params.exceptionDetails.text);
        if (method === 'Runtime.consoleAPICalled') said.push(params.args[0]?.value);
        if (method === 'Log.entryAdded') said.push(params.entry.text);
    }
});

function call(method, params = {}) {
    browser.stdio[3].write(JSON.stringify({ id: ++sent, method, params, sessionId: session }) + '\0');
    return new Promise(resolve => pending.set(sent, resolve));
}

async function value(expression) {
    return (await call('Runtime.evaluate', { expression, awaitPromise: true })).result.value;
}

async function until(condition) {
    while (!await value(condition)) await new Promise(go => setTimeout(go, 200));
}

/* What both models make of a text. */
async function said_of(text) {
    await value('$("out0").textContent = $("out1").textContent = "", 0');
    await value(`$("source").value = ${JSON.stringify(text)}, translate(), 0`);
    await until('$("out0").textContent && $("out1").textContent');
    return JSON.parse(await value('JSON.stringify([$("out0").textContent, $("out1").textContent])'));
}

async function picture(name, width, height, mobile) {
    await call('Emulation.setDeviceMetricsOverride',
        { width, height, deviceScaleFactor: mobile ? 2 : 1, mobile });
    await new Promise(go => setTimeout(go, 500));
    const { data } = await call('Page.captureScreenshot', { captureBeyondViewport: true });
    if (folder) writeFileSync(join(folder, name), Buffer.from(data, 'base64'));
    if (await value('document.documentElement.scrollWidth > innerWidth'))
        said.push(`${name}: wider than the window`);
}

function end(status, line) {
    console.log(line);
    browser.kill();
    try { rmSync(profile, { recursive: true, force: true }); } catch { /* still in use */ }
    process.exit(status);
}

const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
({ sessionId: session } = await call('Target.attachToTarget', { targetId, flatten: true }));
for (const domain of ['Page', 'Runtime', 'Log']) await call(`${domain}.enable`);
await call('Page.navigate', { url: 'file://' + resolve(page) });
await until('!!document.getElementById("layers")?.onchange');
await value('$("layers").onchange(), $("other").click(), translate(), 0');    // before it is ready
await until('!$("run").disabled');
await value('$("layers").value = 6, $("layers").onchange()');
for (const text of ['Der Arzt wird arbeiten.', 'zq\u{1D4B3}\u{10FFFF}', 'Die', 'ja', 'Uhr', 'x'])
    for (const out of await said_of(text))
        if (/[\uFFFD\p{Cc}]/u.test(out)) said.push(`before it learns: ${JSON.stringify(out)}`);
await said_of('Hund '.repeat(24));
await until('[0, 1].every(i => $("out" + i).textContent.includes("shorter"))');
await value('$("run").click()');
await until(`models.every(m => m.points.at(-1)?.[0] >= ${steps})`);
await value('$("run").click(), $("source").value = "Der Arzt wird arbeiten.", translate(), 0');
await until('!$("run").textContent.includes("Pause")');
await picture('wide.png', 1280, 980, false);
await picture('phone.png', 390, 844, true);
const [first, last, out, state] = JSON.parse(await value(`JSON.stringify([models.map(m =>
    m.points[0][1]), models.map(m => m.points.at(-1)[1]), [$('out0').textContent,
    $('out1').textContent], $('state').textContent])`));
const good = last.every((l, i) => l < first[i]) && /[a-z.]/i.test(out[0]) && said.length === 0;
end(good ? 0 : 1, `loss ${first.map(l => l.toFixed(2))} to ${last.map(l => l.toFixed(2))}, ` +
    `${state}; says: ${out[0]}${said.map(s => '\nconsole: ' + s).join('')}`);
