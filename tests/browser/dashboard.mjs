// The dashboard, the try-it page and the HTML report in a real browser.
// usage: node dashboard.mjs ABTEST DIRECTORY
// DIRECTORY holds item-bias.ini with an admin token of "secret", models and data; screenshots go to
// DIRECTORY/screenshots. tests/e2e_dashboard.sh prepares it.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [abtest, directory] = process.argv.slice(2).map((path) => resolve(path));
const config = join(directory, "item-bias.ini");
const shots = join(directory, "screenshots");
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDE = { width: 1200, height: 900 }, PHONE = { width: 375, height: 740 };
mkdirSync(shots, { recursive: true });

function startServer() {
  const server = spawn(abtest, ["serve", "item-bias.ini", "--port", "0"], {
    cwd: directory, stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((done, fail) => {
    let said = "";
    server.stdout.on("data", (data) => {
      said += data;
      const url = /listening on (\S+)\n/.exec(said)?.[1];
      if (url) done({ server, url });
    });
    server.on("exit", (code) => fail(new Error(`the server ended with ${code}`)));
  });
}

function simulate(url, ...options) {
  const child = spawn(abtest, ["simulate", config, "--url", url, "--json", ...options], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  return new Promise((done, fail) => {
    let said = "";
    child.stdout.on("data", (data) => (said += data));
    child.on("exit", (code) => (code === 0 ? done(JSON.parse(said)) : fail(new Error(`simulate: ${code}`))));
  });
}

// Opens a page that notes everything a user would not want to find in the console.
async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60000); // the same
  page.faults = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.faults.push(message.text());
  });
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("requestfailed", (request) => {
    // A stream is cut when its page goes.
    if (!request.url().endsWith("/stream")) page.faults.push(`${request.url()}: ${request.failure()?.errorText}`);
  });
  return page;
}

// axe runs in the page as a test's own script, outside the page's policy.
async function checkAccessibility(page, what) {
  await page.evaluate(readFileSync(axe, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const serious = violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
  assert.deepEqual(serious.map((v) => [v.id, v.help, v.nodes.map((node) => node.html).slice(0, 3)]), [], what);
}

async function shoot(page, name) {
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

async function noSidewaysScroll(page, what) {
  const [inner, scroll] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  const wide = scroll <= inner ? [] : await page.evaluate(() => [...document.querySelectorAll("*")]
    .filter((node) => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest(".scroll table"))
    .map((node) => node.outerHTML.slice(0, 80)));
  assert.deepEqual(wide, [], `${what}: ${scroll} px wide on a screen of ${inner}`);
}

const exposures = (page) => page.evaluate(() =>
  [...document.querySelectorAll('[data-experiment="item-bias"] tbody tr')]
    .map((row) => Number(row.children[2].textContent.replaceAll(",", "")) || 0)
    .reduce((sum, n) => sum + n, 0));

async function waitFor(what, condition) {
  for (let i = 0; i < 600; i++) { // reports come seldom while the machine is busy
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail(`waited in vain: ${what}`);
}

async function testOverview(browser, url) {
  const page = await openPage(browser);
  await page.goto(url);
  await page.getByRole("heading", { name: "item-bias" }).waitFor();
  const before = await exposures(page);
  const simulation = simulate(url, "--users", "1500", "--visits", "6", "--threads", "1",
    "--rates", "control=0.45,treatment=0.72", "--seed", "7");
  // Counts rise while the users come, in steps, and end where the simulation says.
  const seen = new Set();
  let is_over = false;
  simulation.finally(() => (is_over = true));
  await waitFor("the end of the simulation", async () => {
    seen.add(await exposures(page));
    return is_over;
  });
  const result = await simulation;
  await waitFor("the last counts", async () => (await exposures(page)) === before + result.requests);
  seen.add(await exposures(page));
  assert.ok(seen.size >= 2, `counts rose in ${seen.size} steps`);
  await page.getByText(/answers looked at, half within/).waitFor();
  assert.ok((await page.locator("#events tbody tr").count()) >= 10, "last events are shown");

  // The live report is the report, to the last digit.
  const live = await (await fetch(`${url}/v1/experiments/item-bias/report`)).text();
  const offline = execFileSync(abtest, ["analyze", join(directory, "logs"), "--json"], { encoding: "utf8" });
  assert.equal(live, offline);
  for (const [i, arm] of result.arms.entries()) {
    const metric = JSON.parse(live).experiments[0].metrics[0];
    assert.equal(metric.arms[i].successes, arm.satisfied);
    const shown = page.locator('[data-experiment="item-bias"] tbody tr').nth(i).locator("td").last();
    assert.equal(await shown.textContent(), `${(100 * metric.arms[i].rate).toFixed(2)} %`);
  }
  await checkAccessibility(page, "overview");
  await shoot(page, "overview-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await checkAccessibility(page, "overview, dark");
  await shoot(page, "overview-dark");
  await page.setViewportSize(PHONE);
  await noSidewaysScroll(page, "overview");
  await shoot(page, "overview-phone");
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

async function confirmChange(page, button, token, answer) {
  await page.getByLabel("Admin token").fill(token);
  await page.getByRole("button", { name: button, exact: true }).click();
  await page.getByRole("button", { name: answer }).click();
}

async function testExperiment(browser, url) {
  const page = await openPage(browser);
  await page.goto(url);
  await page.getByRole("link", { name: "item-bias" }).click();
  await page.getByText("Computed from the log at").waitFor();
  assert.match(await page.locator("#headline").textContent(), /treatment wins over control/);
  await page.getByRole("heading", { name: "Can it be trusted?" }).waitFor();
  await checkAccessibility(page, "experiment");
  await shoot(page, "experiment-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await checkAccessibility(page, "experiment, dark");
  await shoot(page, "experiment-dark");
  await page.setViewportSize(PHONE);
  await noSidewaysScroll(page, "experiment");
  await shoot(page, "experiment-phone");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(WIDE);

  const status = page.locator("#status");
  const arm = async () => (await (await fetch(`${url}/v1/assignments?user=1`)).json()).assignments["item-bias"];
  assert.ok(await arm());
  await confirmChange(page, "Pause", "secret", "No");
  await page.getByText("Nothing was changed.").waitFor();
  await confirmChange(page, "Pause", "wrong", "Yes, change it");
  await page.getByText(/Not changed: .*Bearer/).waitFor();
  assert.equal(await status.textContent(), "running");
  page.faults = page.faults.filter((fault) => !fault.includes("401")); // as it should be
  await confirmChange(page, "Pause", "secret", "Yes, change it");
  await page.getByText("Done. The change is in the config file and in the log.").waitFor();
  await waitFor("the paused badge", async () => (await status.textContent()) === "paused");
  await shoot(page, "experiment-paused");
  assert.equal(await arm(), undefined);
  assert.match(readFileSync(config, "utf8"), /^status = paused/m);
  await fetch(`${url}/v1/recommend?user=1`); // the config event comes before what refers to it
  const log = execFileSync(abtest, ["logs", "cat", join(directory, "logs")], {
    encoding: "utf8", maxBuffer: 1 << 28,
  });
  assert.ok(log.split("\n").some((line) => line.includes('"type":"config"') && line.includes("status = paused")));
  await confirmChange(page, "Run", "secret", "Yes, change it");
  await waitFor("the running badge", async () => (await status.textContent()) === "running");
  assert.ok(await arm());
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

async function testTry(browser, url) {
  const page = await openPage(browser);
  await page.goto(`${url}/try`);
  await page.locator("#experiment option").first().waitFor({ state: "attached" });
  await page.getByRole("textbox", { name: "User" }).fill("1");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText(/User 1 is in arm/).waitFor();
  const answer = await (await fetch(`${url}/v1/try?user=1&experiment=item-bias&k=10`)).json();
  for (const arm of answer.arms) {
    const rows = page.locator(`[data-arm="${arm.arm}"] tbody tr`);
    assert.equal(await rows.count(), 10);
    assert.ok((await rows.first().textContent()).includes(arm.items[0].title));
  }
  await page.getByRole("heading", { name: "What they had rated" }).waitFor();
  await checkAccessibility(page, "try");
  await shoot(page, "try-light");
  await page.setViewportSize(PHONE);
  await noSidewaysScroll(page, "try");
  await shoot(page, "try-phone");
  await page.getByRole("textbox", { name: "User" }).fill("nobody-knows-me");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText(/the model does not know this user/).first().waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

// Without the chart library, as a build without it serves it (a stub) or as a proxy that loses the
// file: the same numbers as tables, and nothing broken.
async function testTables(browser, url) {
  const stub = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../../serve/assets/chart.js"), "utf8");
  const ways = {
    stub: (route) => route.fulfill({ contentType: "text/javascript", body: stub }),
    missing: (route) => route.fulfill({ status: 404, body: "" }),
  };
  for (const [name, serve] of Object.entries(ways)) {
    const page = await openPage(browser);
    await page.route("**/assets/chart.js", serve);
    await page.goto(url);
    await page.locator("#latency-table tbody tr").first().waitFor();
    assert.equal(await page.evaluate(() => typeof window.Chart), "undefined", name);
    assert.equal(await page.locator("#latency").isVisible(), false, `${name}: no empty chart`);
    const counts = await page.locator("#latency-table tbody td").allTextContents();
    assert.ok(counts.some((text) => Number(text.replaceAll(",", "")) > 0), `${name}: the table has the counts`);
    await checkAccessibility(page, `overview, charts ${name}`);
    await page.goto(`${url}/experiments/item-bias`);
    await page.locator("#trail-table tbody tr").first().waitFor();
    assert.equal(await page.locator("#trail").isVisible(), false, `${name}: no empty chart`);
    const { experiments } = await (await fetch(`${url}/v1/experiments/item-bias/report`)).json();
    const { series } = experiments[0].metrics[0].contrasts[0];
    assert.equal(await page.locator("#trail-table tbody tr").count(), series.length);
    const last = await page.locator("#trail-table tbody tr").last().locator("td").nth(1).textContent();
    assert.equal(last, `${(100 * series.at(-1).effect_size).toFixed(2)} %`);
    await checkAccessibility(page, `experiment, charts ${name}`);
    await shoot(page, `experiment-tables-${name}`);
    assert.deepEqual(page.faults.filter((fault) => name !== "missing" || !/404|chart.js/.test(fault)), []);
    await page.context().close();
  }
}

// A page of another site, in the browser of somebody who may even be at work here.
async function testOtherSite(browser, url) {
  const target = `${url}/v1/experiments/item-bias`;
  const html = `<!doctype html><title>other site</title><form id="form" method="post" target="frame"
    enctype="text/plain" action="${target}"><input name='{"status":"paused","x":"' value='"}'></form>
    <iframe name="frame"></iframe><iframe id="framed" src="${url}/"></iframe>`;
  const site = createServer((request, response) => response.setHeader("Content-Type", "text/html").end(html));
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  const page = await (await browser.newContext()).newPage();
  await page.goto(`http://localhost:${site.address().port}/`);
  const tries = await page.evaluate(async (address) => {
    const ask = (options) => fetch(address, { method: "POST", credentials: "include", ...options })
      .then((answer) => `${answer.type} ${answer.status}`, () => "refused");
    const body = '{"status":"paused"}';
    return {
      simple: await ask({ mode: "no-cors", body }), // sent, without a token; the answer is hidden
      json: await ask({ headers: { "Content-Type": "application/json" }, body }),
      token: await ask({ headers: { Authorization: "Bearer secret" }, body }),
      read: await fetch(address.replace(/\/v1.*/, "/v1/experiments")).then(() => "read", () => "refused"),
    };
  }, target);
  assert.deepEqual(tries, { simple: "opaque 0", json: "refused", token: "refused", read: "refused" });
  const [answer] = await Promise.all([
    page.waitForResponse(target),
    page.evaluate(() => document.getElementById("form").submit()),
  ]);
  assert.equal(answer.status(), 401);
  const framed = await (await page.$("#framed")).contentFrame();
  assert.equal(await framed.evaluate(() => document.getElementById("experiments") === null), true, "nobody may frame it");
  const { experiments } = await (await fetch(`${url}/v1/experiments`)).json();
  assert.equal(experiments[0].status, "running");
  await page.context().close();
  site.close();
}

// No script or style but the server's own; the policy is what stops it.
async function testPolicy(browser, url) {
  const page = await openPage(browser);
  await page.goto(url);
  const ran = await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.injected = true";
    document.head.append(script);
    return window.injected === true;
  });
  assert.equal(ran, false);
  assert.ok(page.faults.some((fault) => fault.includes("Content Security Policy")));
  await page.context().close();
}

// With the keyboard alone: first the link past everything, then whatever scrolls or opens; a screen
// reader finds one main part, one top heading, and headings that skip no level.
async function checkKeyboard(page) {
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  assert.ok(await page.locator("a.skip").isVisible());
  await page.keyboard.press("Enter");
  assert.equal(new URL(page.url()).hash, "#main");
  const before = await page.locator("details[open]").count();
  await page.locator("summary").first().focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("details[open]").count(), before + 1);
  const found = await page.evaluate(() => ({
    mains: document.querySelectorAll("main").length,
    levels: [...document.querySelectorAll("h1, h2, h3, h4")].map((node) => Number(node.tagName[1])),
    unnamed: [...document.querySelectorAll("svg:not([aria-hidden])")].filter((node) => !node.getAttribute("aria-label")).length,
    stuck: [...document.querySelectorAll(".scroll")].filter((node) => node.tabIndex !== 0).length,
    heads: [...document.querySelectorAll("th")].filter((node) => !node.scope).length,
  }));
  assert.deepEqual([found.mains, found.unnamed, found.stuck, found.heads], [1, 0, 0, 0]);
  assert.deepEqual(found.levels.filter((level, i) => level > (found.levels[i - 1] ?? 0) + 1), []);
}

async function testReport(browser) {
  const file = join(directory, "report.html");
  execFileSync(abtest, ["analyze", join(directory, "logs"), "--format", "html", "-o", file]);
  const page = await openPage(browser);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(pathToFileURL(file).href);
  await page.getByText(/treatment wins over control/).first().waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await checkAccessibility(page, `report, ${colorScheme}`);
    await shoot(page, `report-${colorScheme}`);
  }
  await page.emulateMedia({ media: "print", colorScheme: "light" });
  await checkAccessibility(page, "report, print");
  await page.pdf({ path: join(shots, "report.pdf"), format: "A4" });
  await page.emulateMedia({ media: "screen", colorScheme: "light" });
  await page.setViewportSize(PHONE);
  await noSidewaysScroll(page, "report");
  await checkAccessibility(page, "report, phone");
  await shoot(page, "report-phone");
  await checkKeyboard(page);
  assert.deepEqual(asked, [pathToFileURL(file).href], "the report loads nothing else");
  assert.ok(statSync(file).size < 1e6);
  assert.deepEqual(page.faults, []);
  await page.context().close();
}

const { server, url } = await startServer();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
try {
  const tests = { testOverview, testExperiment, testTry, testTables, testOtherSite, testPolicy, testReport };
  for (const [name, test] of Object.entries(tests)) {
    await test(browser, url);
    console.log(`ok ${name}`);
  }
} finally {
  await browser.close();
  server.removeAllListeners("exit");
  server.kill("SIGTERM");
}
const code = await new Promise((done) => (server.exitCode === null ? server.on("exit", done) : done(server.exitCode)));
assert.equal(code, 0, "the server ends cleanly");
