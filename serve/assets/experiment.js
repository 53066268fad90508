// One experiment: verdict, arms, effect over time, metrics, checks, and changing it.
import {
  $, armColor, armName, badge, chart, clock, count, el, fill, fillWhenNew, follow, getJson, isNumber,
  percent, STATUS_CLASS, table,
} from "/assets/common.js";
import {
  alarmsOf, effectCells, inUnits, primaryOf, valueOf, verdictBadge,
} from "/assets/report.js";

const name = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const CHECK_CLASS = { ok: "good", note: "", warning: "warn", failed: "bad" };
let experiment = null; // of the config, as served now

document.title = `${name} - abtest`;
$("name").textContent = name;
$("raw").href = `/v1/experiments/${encodeURIComponent(name)}/report`;

function showState(state) {
  experiment = state.experiments.find((one) => one.name === name) ?? null;
  fillWhenNew($("status"), experiment?.status ?? "unknown", (status) => [badge(status, STATUS_CLASS[status])]);
  $("hypothesis").textContent = experiment?.hypothesis ?? "";
  if (!experiment) {
    fillWhenNew($("alarms"), "unknown", () =>
      [el("p", { class: "alarm" }, `The config that is being served has no experiment "${name}".`)]);
  }
  const coverage = $("coverage");
  if (experiment && document.activeElement !== coverage && !coverage.dataset.touched) {
    coverage.value = experiment.coverage;
  }
  for (const button of $("change").querySelectorAll("button")) {
    button.disabled = !experiment || experiment.status === button.value;
  }
}

const trail = chart($("trail-box"), (metric, contrast) => {
  const scale = metric.kind === "proportion" ? 100 : 1;
  const points = contrast.series;
  const line = (label, key, more) => ({
    label, data: points.map((point) => (isNumber(point[key]) ? scale * point[key] : null)),
    pointRadius: points.length < 12 ? 3 : 0, borderWidth: 2, ...more, // a line needs two points
  });
  return {
    type: "line",
    data: {
      labels: points.map((point) => clock(point.before_ts_us).slice(5)),
      datasets: [
        line(`${contrast.arm} − ${contrast.against}`, "effect_size", { borderColor: armColor(1) }),
        line("fixed-horizon interval", "ci_lower", { borderColor: armColor(1), borderDash: [4, 4], borderWidth: 1 }),
        line("", "ci_upper", {
          borderColor: armColor(1), borderDash: [4, 4], borderWidth: 1, fill: "-1",
          backgroundColor: `${armColor(1)}22`,
        }),
        line("always-valid interval", "always_valid_lower", { borderColor: armColor(0), borderWidth: 1 }),
        line("", "always_valid_upper", { borderColor: armColor(0), borderWidth: 1 }),
      ],
    },
    options: {
      scales: {
        y: { title: { display: true, text: scale === 100 ? "difference, points" : "difference" } },
        x: { ticks: { maxTicksLimit: 8, maxRotation: 0 } },
      },
      plugins: { legend: { labels: { filter: (item) => item.text !== "" } } },
    },
  };
});

function showTrail(report) {
  const metric = primaryOf(report);
  const contrast = metric?.contrasts?.[0];
  const points = contrast?.series ?? [];
  $("trail-title").parentElement.hidden = points.length === 0;
  if (points.length === 0) return;
  $("trail-title").textContent = `Effect on ${metric.name}, as it came in`;
  trail.update(metric, contrast);
  fill($("trail-table"), table(`Effect on ${metric.name} over time`,
    ["Until (UTC)", ["Users"], ["Difference"], ["Interval"], ["Always valid"]],
    points.map((point) => [clock(point.before_ts_us), count(point.units), inUnits(metric, point.effect_size),
      `${inUnits(metric, point.ci_lower)} to ${inUnits(metric, point.ci_upper)}`,
      `${inUnits(metric, point.always_valid_lower)} to ${inUnits(metric, point.always_valid_upper)}`])));
}

function metricBlock(metric) {
  const direction = { up: ", higher is better", down: ", lower is better" }[metric.direction] ?? "";
  return el("div", {},
    el("h3", {}, metric.name, " ", badge(metric.role, "")),
    el("p", { class: "soft" }, `${metric.kind} of "${metric.event}"${direction}`),
    table(`${metric.name} by arm`, ["Arm", ["Users"], ["Value"], ["Interval"]],
      metric.arms.map((arm, i) => [armName(arm.arm, i), count(arm.n), valueOf(metric, i),
        `${inUnits(metric, arm.ci_lower)} to ${inUnits(metric, arm.ci_upper)}`])),
    table(`${metric.name}: difference`, ["Contrast", ["Difference"], ["Interval"], ["p"], "Method"],
      metric.contrasts.flatMap((contrast) => ["fixed", "always_valid", "adjusted"]
        .filter((kind) => kind === "fixed" || contrast[kind]?.testable)
        .map((kind) => effectCells(metric, contrast, kind)))),
    metric.contrasts.filter((contrast) => contrast.guardrail).map((contrast) =>
      el("p", { class: "soft" }, `guardrail ${contrast.guardrail.state}: ${contrast.guardrail.detail}`)));
}

function showReport(message) {
  $("freshness").textContent = message.problem
    ? `No report: ${message.problem}`
    : `Computed from the log at ${clock(message.made_us)} UTC in ${message.took_ms} ms.`;
  const report = message.report?.experiments?.[0];
  if (!report) return;
  fill($("verdict"), verdictBadge(report));
  $("headline").textContent = report.headline ?? "";
  $("advice").textContent = report.advice ?? "";
  fill($("reasons"), report.reasons.map((reason) => el("li", {}, reason)));
  $("reasons").hidden = report.reasons.length === 0;
  fillWhenNew($("alarms"), alarmsOf(report), (all) =>
    all.map(([kind, text]) => el("p", { class: `alarm ${kind === "bad" ? "" : "warn"}` }, text)));
  fill($("arms"), table("Units and exposures by arm",
    ["Arm", ["Weight"], ["Users"], ["Expected"], ["Exposures"]],
    report.arms.map((arm, i) => [armName(arm.name, i), percent(arm.weight, 0), count(arm.units),
      isNumber(arm.expected_units) ? arm.expected_units.toFixed(1) : "–", count(arm.exposures)])));
  showTrail(report);
  fill($("metrics"), report.metrics.map(metricBlock));
  fill($("checks"), table("Trust checks", ["Check", "Result", "What was found"],
    report.checks.map((check) => [check.name, badge(check.status, CHECK_CLASS[check.status]), check.detail])));
}

// ---- changes

const WORDS = {
  running: "Run", paused: "Pause", stopped: "Stop",
};

function question(change) {
  if (change.coverage !== undefined) {
    return `Set the coverage of ${name} from ${experiment.coverage} to ${change.coverage}? Raising it moves nobody who has an arm; the server refuses what would.`;
  }
  return `${WORDS[change.status]} ${name}? It is ${experiment.status} now.${change.status === "running" ? "" : " Everybody gets what [serving] says until it runs again."}`;
}

function confirmed(change) {
  $("confirm-text").textContent = question(change);
  const dialog = $("confirm");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

$("coverage").addEventListener("input", () => {
  $("coverage").dataset.touched = "yes";
});

$("change").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const action = submit.submitter.value;
  const change = action === "ramp" ? { coverage: Number($("coverage").value) } : { status: action };
  const result = $("change-result");
  if (!(await confirmed(change))) {
    result.textContent = "Nothing was changed.";
    return;
  }
  try {
    // The token travels in a header that no other site can make a browser send.
    await getJson(`/v1/experiments/${encodeURIComponent(name)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${$("token").value}` },
      body: JSON.stringify(change),
    });
    delete $("coverage").dataset.touched;
    result.textContent = "Done. The change is in the config file and in the log.";
  } catch (error) {
    result.textContent = `Not changed: ${error.message}`;
  }
});

follow({
  state: showState,
  report(message) {
    if (message.experiment === name) showReport(message);
  },
});
