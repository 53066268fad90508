// The overview: experiments, the server's health, the last events.
import {
  $, armColor, armName, badge, bytes, chart, clock, count, duration, el, fill, fillWhenNew, follow,
  isNumber, percent, STATUS_CLASS, table,
} from "/assets/common.js";
import { alarmsOf, effectWords, primaryOf, valueOf, verdictBadge } from "/assets/report.js";

const reports = new Map(); // experiment -> {report, problem, made_us, ...} as it came last
let state = null;

const reportOf = (name) => reports.get(name)?.report?.experiments?.[0] ?? null;

function experimentCard(experiment) {
  const report = reportOf(experiment.name);
  const primary = report ? primaryOf(report) : null;
  const problem = reports.get(experiment.name)?.problem;
  const rows = experiment.arms.map((arm, i) => [
    armName(arm.name, i),
    percent(arm.weight, 0),
    count(report?.arms?.[i]?.exposures),
    count(report?.arms?.[i]?.units),
    primary ? valueOf(primary, i) : "–",
  ]);
  const link = `/experiments/${encodeURIComponent(experiment.name)}`;
  return el("section", { class: "card", "data-experiment": experiment.name },
    el("div", { class: "head" },
      el("h2", {}, el("a", { href: link }, experiment.name)),
      el("span", {}, badge(experiment.status, STATUS_CLASS[experiment.status]), " ",
        report ? verdictBadge(report) : null)),
    experiment.hypothesis ? el("p", { class: "soft" }, experiment.hypothesis) : null,
    table(`Arms of ${experiment.name}`,
      ["Arm", ["Weight"], ["Exposures"], ["Users"], [primary ? primary.name : "Rate"]], rows),
    primary ? primary.contrasts.map((contrast) => el("p", {}, effectWords(report, primary, contrast))) : null,
    problem ? el("p", { class: "soft" }, `No report: ${problem}`) : null);
}

function showAlarms() {
  const alarms = [];
  if (!state.log.is_healthy) alarms.push(["bad", `The log cannot be written: answers that depend on it are 503 (${state.log.failed_commits} commits failed since the start)`]);
  for (const experiment of state.experiments) {
    const report = reportOf(experiment.name);
    if (!report) continue;
    for (const [kind, text] of alarmsOf(report)) alarms.push([kind, `${experiment.name}: ${text}`]);
  }
  fillWhenNew($("alarms"), alarms, (all) =>
    all.map(([kind, text]) => el("p", { class: `alarm ${kind === "bad" ? "" : "warn"}` }, text)));
}

function showLog(log) {
  fill($("log-state"), badge(log.is_healthy ? "healthy" : "failing", log.is_healthy ? "good" : "bad"));
  const age = isNumber(log.last_event_us) ? Math.max(0, (state.ts_us - log.last_event_us) / 1e6) : null;
  const entries = [
    ["Directory", log.directory],
    ["Written since the start", `${count(log.events)} events, ${bytes(log.bytes)}`],
    ["Last event", age === null ? "none seen" : `${duration(age)} ago`],
    ["Waiting to be written", bytes(log.waiting_bytes)],
    ["fsync", `${log.fsync}, ${count(log.syncs)} so far${isNumber(log.mean_sync_us) ? `, ${duration(log.mean_sync_us / 1e6)} each` : ""}`],
    ["Failed commits, segments given up", `${count(log.failed_commits)}, ${count(log.sealed_segments)}`],
    ["Open connections", count(state.connections)],
  ];
  fill($("log"), entries.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

const latencyChart = chart($("latency-box"), (bounds, counts) => ({
  type: "bar",
  data: {
    labels: bounds.map(boundName),
    datasets: [{ label: "answers", data: counts, backgroundColor: armColor(0) }],
  },
  options: {
    scales: { y: { beginAtZero: true, title: { display: true, text: "answers" } },
      x: { title: { display: true, text: "up to" } } },
    plugins: { legend: { display: false } },
  },
}));

const boundName = (us) => (us === null ? "more" : us < 1000 ? `${us} µs` : `${us / 1000} ms`);

function quantile(latency, q) {
  const total = latency.counts.reduce((sum, n) => sum + n, 0);
  let seen = 0;
  for (let i = 0; i < latency.counts.length; i++) {
    seen += latency.counts[i];
    if (total && seen >= q * total) return boundName(latency.bounds_us[i]);
  }
  return "–";
}

function showLatency(latency) {
  // Only the range in which something happened.
  const used = latency.counts.map((n, i) => (n ? i : -1)).filter((i) => i >= 0);
  const from = Math.max(0, (used[0] ?? 0) - 1), to = (used.at(-1) ?? 0) + 2;
  const bounds = latency.bounds_us.slice(from, to), counts = latency.counts.slice(from, to);
  if ($("latency").dataset.key === String(counts)) return;
  $("latency").dataset.key = String(counts);
  latencyChart.update(bounds, counts);
  fill($("latency-table"), table("Answers by time", ["Up to", ["Answers"]],
    bounds.map((bound, i) => [boundName(bound), count(counts[i])])));
  $("latency-words").textContent = used.length === 0
    ? "No answer since somebody first watched."
    : `Of ${count(latency.counts.reduce((sum, n) => sum + n, 0))} answers looked at, half within ${quantile(latency, 0.5)} and 99 of 100 within ${quantile(latency, 0.99)}.`;
}

function showEvents(events) {
  fillWhenNew($("events"), events, (all) => (all.length === 0
    ? [el("p", { class: "soft" }, "None since the server started.")]
    : [table("The newest first", ["Time (UTC)", "Event", "User", "What"],
      all.map((event) => [el("time", { class: "time", datetime: `${clock(event.ts_us).replace(" ", "T")}Z`, title: clock(event.ts_us) }, clock(event.ts_us).slice(11)), event.type, event.user, event.what]))]));
}

function show() {
  if (!state) return;
  const data = state.experiments.map((experiment) =>
    [experiment, reports.get(experiment.name)?.made_us ?? null]);
  fillWhenNew($("experiments"), data, () => (data.length
    ? state.experiments.map(experimentCard)
    : [el("p", { class: "soft" }, "The config names no experiment.")]));
  showAlarms();
}

follow({
  state(data) {
    state = data;
    show();
    showLog(data.log);
    showLatency(data.latency);
    showEvents(data.events);
  },
  report(data) {
    reports.set(data.experiment, data);
    show();
  },
});
