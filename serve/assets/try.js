// The lists of all arms for one user, side by side.
import { $, badge, el, fill, getJson, isNumber, percent, table } from "/assets/common.js";

const nameOf = (item) => item.title || `item ${item.item}`;

function listCard(answer, arm) {
  const others = answer.arms.filter((other) => other !== arm)
    .map((other) => new Set(other.items.map((item) => item.item)));
  const shared = (item) => others.length > 0 && others.every((set) => set.has(item.item));
  const facts = [`model ${arm.model}`, `item bias ${arm.item_bias}`];
  if (arm.fallback) facts.push(`the model does not know this user: ${arm.fallback} items`);
  return el("section", { class: "card", "data-arm": arm.arm },
    el("div", { class: "head" }, el("h2", {}, arm.arm),
      arm.arm === answer.assigned ? badge("this user's arm", "good") : null),
    el("p", { class: "soft" }, facts.join(", ")),
    table(`What ${arm.arm} would show`, ["Item", ["Score"]],
      arm.items.map((item) => [
        [nameOf(item), shared(item) ? [" ", badge(others.length > 1 ? "in all arms" : "in both arms")] : null,
          item.genres ? el("div", { class: "soft" }, item.genres.replaceAll("|", ", ")) : null].flat(),
        isNumber(item.score) ? item.score.toFixed(3) : "–",
      ])));
}

function show(answer) {
  fill($("lists"), answer.arms.map((arm) => listCard(answer, arm)));
  $("message").textContent = answer.assigned === null
    ? `User ${answer.user} takes no part in ${answer.experiment}.`
    : `User ${answer.user} is in arm ${answer.assigned} of ${answer.experiment}.`;
  $("rated").hidden = answer.n_rated === 0;
  if (answer.n_rated > 0) {
    const rows = answer.rated.map((item) => [nameOf(item), item.rating.toFixed(1)]);
    const top = Number($("k").value) || 10; // as many as the lists have
    const best = Math.min(top, rows.length);
    fill($("rated-table"),
      table(`The best ${best} of ${answer.n_rated} ratings; rated items are not recommended`,
        ["Item", ["Rating"]], rows.slice(0, best)),
      rows.length > best ? el("details", {}, el("summary", {}, `${rows.length - best} more`),
        table("The next best", ["Item", ["Rating"]], rows.slice(best))) : null);
  }
}

async function ask() {
  const query = new URLSearchParams({
    user: $("user").value, experiment: $("experiment").value, k: $("k").value,
  });
  try {
    show(await getJson(`/v1/try?${query}`));
    history.replaceState(null, "", `/try?${query}`);
  } catch (error) {
    $("message").textContent = error.message;
    fill($("lists"));
    $("rated").hidden = true;
  }
}

$("ask").addEventListener("submit", (submit) => {
  submit.preventDefault();
  ask();
});

const { experiments } = await getJson("/v1/experiments");
fill($("experiment"), experiments.map((one) =>
  el("option", { value: one.experiment }, `${one.experiment} (${one.status}, ${percent(one.coverage, 0)} of users)`)));
const given = new URLSearchParams(location.search);
for (const key of ["user", "experiment", "k"]) {
  if (given.has(key)) $(key).value = given.get(key);
}
if (given.has("user")) ask();
