// Holds the arms that real SDKs see against those of the server, for many users.
//   node check.mjs URL N_USERS
// Prints one line per client; exits with 1 when one arm differs.
import { createRequire } from "node:module";
import { OpenFeature as ServerOpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature as WebOpenFeature } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";

const require = createRequire(import.meta.url);
const { GrowthBookClient } = require("@growthbook/growthbook");
const { Gorse } = require("gorsejs");

const [url, nText] = process.argv.slice(2);
const n = Number(nText);

// Ids of every shape: numbers, mail addresses, accents, CJK, surrogate pairs, blanks,
// reserved characters; every third user says where he is and how old he is.
function user(i) {
  const shapes = [
    () => `${i}`,
    () => `user-${i}@example.com`,
    () => `Jürgen ${i}`,
    () => `利用者${i}`,
    () => `🙂${i}👩‍🚀`,
    () => `a b&c=d/e?f#${i}%20+`,
    () => (i * 2654435761 % 4294967296).toString(16).padStart(8, "0"),
  ];
  const id = i === 0 ? "qa" : shapes[i % shapes.length]();
  const attributes = i % 3 === 0 ? {} : { country: ["NL", "ZA", "DE"][i % 7 % 3], age: i % 50, premium: i % 2 === 0 };
  return { id, attributes };
}
const users = Array.from({ length: n }, (_, i) => user(i));

// At most `width` at once, in order.
async function each(items, width, work) {
  let next = 0;
  const results = new Array(items.length);
  await Promise.all(Array.from({ length: width }, async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i], i);
  }));
  return results;
}

async function get(path) {
  const response = await fetch(url + path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const { experiments } = await get("/v1/experiments");
const names = experiments.map((e) => e.experiment);
const expected = await each(users, 32, async ({ id, attributes }) => {
  const query = new URLSearchParams({ user: id });
  for (const [key, value] of Object.entries(attributes)) query.set(`attr.${key}`, value);
  return (await get(`/v1/assignments?${query}`)).assignments;
});

let failed = false;
function report(client, n_compared, differences, seen) {
  console.log(`${client}: ${users.length} users, ${n_compared} decisions, ${differences.length} differ`
    + ` (${Object.entries(seen).sort().map(([arm, count]) => `${arm} ${count}`).join(", ")})`);
  for (const difference of differences.slice(0, 5)) console.log("  " + difference);
  failed ||= differences.length > 0;
}

function compare(client, arms, names_of = () => names) {
  const differences = [], seen = {};
  let compared = 0;
  users.forEach(({ id }, i) => {
    for (const name of names_of(i)) {
      const arm = arms[i][name] ?? "-", own = expected[i][name] ?? "-";
      seen[`${name}:${arm}`] = (seen[`${name}:${arm}`] ?? 0) + 1;
      compared++;
      if (arm !== own) differences.push(`${id} in ${name}: ${arm}, the server says ${own}`);
    }
  });
  report(client, compared, differences, seen);
}

// GrowthBook: the SDK hashes by itself; the server only gave it the payload.
{
  const client = new GrowthBookClient({ apiHost: url, clientKey: "sdk-test" });
  const { success } = await client.init({ timeout: 10000 });
  if (!success) throw new Error("GrowthBook cannot load its features");
  const features = client.getPayload().features;
  const armOfValue = (name, value) => {
    const rule = features[name].rules.find((r) => r.variations);
    return rule.meta[rule.variations.findIndex((v) => JSON.stringify(v) === JSON.stringify(value))].key;
  };
  compare("growthbook", users.map(({ id, attributes }) => Object.fromEntries(names.map((name) => {
    const result = client.evalFeature(name, { attributes: { id, ...attributes } });
    return [name, result.source === "experiment" ? result.experimentResult.key
      : result.source === "force" ? armOfValue(name, result.value) : undefined];
  }))));
  client.destroy();
}

// OpenFeature on a server: one request a decision; one experiment a user, in turn, and for
// every tenth user all of them.
{
  const names_of = (i) => i % 10 === 0 ? names : [names[i % names.length]];
  await ServerOpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: url }));
  const client = ServerOpenFeature.getClient();
  compare("openfeature server", await each(users, 32, async ({ id, attributes }, i) => {
    const arms = {};
    for (const name of names_of(i)) {
      const details = await client.getObjectDetails(name, {}, { targetingKey: id, ...attributes });
      if (details.errorCode) throw new Error(`${id} in ${name}: ${details.errorCode} ${details.errorMessage}`);
      arms[name] = details.variant;
    }
    return arms;
  }), names_of);
  const missing = await client.getObjectDetails("no-such", { own: true }, { targetingKey: "1" });
  if (missing.errorCode !== "FLAG_NOT_FOUND" || missing.value.own !== true) throw new Error(`no-such: ${JSON.stringify(missing)}`);
  const nobody = await client.getObjectDetails(names[0], {}, {});
  if (nobody.errorCode !== "TARGETING_KEY_MISSING") throw new Error(`no targeting key: ${JSON.stringify(nobody)}`);
  await ServerOpenFeature.close();
}

// OpenFeature in a browser: all decisions of a user in one request, kept until the user changes.
{
  const provider = new OFREPWebProvider({ baseUrl: url, pollInterval: 0, disableLocalCache: true });
  await WebOpenFeature.setContext({ targetingKey: users[0].id, ...users[0].attributes });
  await WebOpenFeature.setProviderAndWait(provider);
  const client = WebOpenFeature.getClient();
  const arms = [];
  for (const { id, attributes } of users) {
    await WebOpenFeature.setContext({ targetingKey: id, ...attributes });
    arms.push(Object.fromEntries(names.map((name) => {
      const details = client.getObjectDetails(name, {});
      if (details.errorCode) throw new Error(`${id} in ${name}: ${details.errorCode} ${details.errorMessage}`);
      return [name, details.variant];
    })));
  }
  compare("openfeature web", arms);
  await WebOpenFeature.close();
}

// Gorse: the list itself, which its client asks for with an id of plain characters.
{
  const gorse = new Gorse({ endpoint: url, secret: "" });
  const some = users.filter(({ id }) => /^[\w@.-]+$/.test(id)).slice(0, 1000);
  const differences = [];
  await each(some, 16, async ({ id }) => {
    const [theirs, ours] = await Promise.all([gorse.getRecommend({ userId: id, cursorOptions: { n: 7 } }),
      get(`/v1/recommend?user=${encodeURIComponent(id)}&k=7`)]);
    if (JSON.stringify(theirs) !== JSON.stringify(ours.items.map((item) => item.item))) differences.push(`${id}: ${theirs}`);
  });
  report("gorse", some.length, differences, { lists: some.length });
  const page = await gorse.getRecommend({ userId: "1", cursorOptions: { n: 3, offset: 2 } });
  const whole = await gorse.getRecommend({ userId: "1", cursorOptions: { n: 5 } });
  if (JSON.stringify(page) !== JSON.stringify(whole.slice(2))) throw new Error(`offset: ${page} of ${whole}`);
  const feedback = [{ FeedbackType: "read", UserId: "1", ItemId: whole[0], Timestamp: new Date() },
    { FeedbackType: "read", UserId: "1", ItemId: whole[1], Timestamp: new Date().toISOString() }];
  if (await gorse.insertFeedbacks(feedback) !== 2) throw new Error("insertFeedbacks");
  if (await gorse.upsertFeedbacks(feedback) !== 2) throw new Error("upsertFeedbacks");
  const refused = await gorse.getRecommend({ userId: "1", category: "films" }).catch((e) => e);
  if (refused.code !== 400) throw new Error(`a category: ${JSON.stringify(refused)}`);
}
process.exit(failed ? 1 : 0);
