// What the pages say of a report (the JSON of `abtest analyze`): one experiment of it.
import { badge, decimal, isNumber, percent } from "/assets/common.js";

const VERDICTS = {
  ship: "good", "roll back": "bad", "keep running": "", "do not trust": "bad", "no data": "",
};

export const verdictBadge = (report) => badge(report.verdict, VERDICTS[report.verdict]);

export const primaryOf = (report) =>
  report.metrics.find((metric) => metric.role === "primary") ?? report.metrics[0] ?? null;

// The value of one arm in the metric's own words: a rate, mean, ratio or quantile.
export function rawValue(metric, arm) {
  const values = metric.arms[arm] ?? {};
  return values.rate ?? values.mean ?? values.ratio ?? values.quantile ?? null;
}

export const inUnits = (metric, x) => (metric.kind === "proportion" ? percent(x) : decimal(x, 5));
export const valueOf = (metric, arm) => inUnits(metric, rawValue(metric, arm));

function signed(metric, x) {
  if (!isNumber(x)) return "–";
  const size = metric.kind === "proportion" ? (100 * Math.abs(x)).toFixed(2) : decimal(Math.abs(x), 4);
  return `${x < 0 ? "−" : "+"}${size}`;
}

const pText = (p) => (!isNumber(p) ? "–" : p === 0 ? "below 1e-300" : p < 1e-4 ? p.toExponential(2) : p.toFixed(4));

export const level = (report) => `${+(100 * (1 - report.alpha)).toFixed(4)} %`;

export function effectCells(metric, contrast, kind = "fixed") {
  const fixed = contrast[kind];
  const points = metric.kind === "proportion" ? " points" : "";
  return [
    `${contrast.arm} − ${contrast.against}`,
    `${signed(metric, fixed.effect_size)}${points}`,
    `${signed(metric, fixed.ci_lower)} to ${signed(metric, fixed.ci_upper)}${points}`,
    pText(fixed.p_value),
    [fixed.testable ? fixed.test : fixed.why_not, fixed.interval].filter(Boolean).join("; "),
  ];
}

// The answer that decides: where the plan is to look while it runs, which is what a live
// page does, the one that holds at every look.
export function effectWords(report, metric, contrast) {
  if (!contrast.fixed.testable && !isNumber(contrast.fixed.effect_size)) {
    return `${metric.name}: not testable yet (${contrast.fixed.why_not}).`;
  }
  const decides = contrast.decided_by === "always-valid" ? "always_valid" : "fixed";
  const [who, effect] = effectCells(metric, contrast);
  if (!contrast[decides]?.testable) {
    return `${metric.name}, ${who}: ${effect} so far; no interval that holds at every look yet (${contrast[decides]?.why_not}).`;
  }
  const [, , interval, p] = effectCells(metric, contrast, decides);
  return `${metric.name}, ${who}: ${effect}, ${level(report)} interval ${interval}, p = ${p} (${
    decides === "always_valid" ? "valid at every look" : `for ${contrast.decided_by === "planned looks" ? "the planned looks" : "one look, planned beforehand"}`}).`;
}

// What should not wait: checks that failed, guardrails that broke.
export function alarmsOf(report) {
  const alarms = [];
  for (const check of report.checks) {
    if (check.status === "failed") alarms.push(["bad", `${check.name}: ${check.detail}`]);
    if (check.status === "warning") alarms.push(["warn", `${check.name}: ${check.detail}`]);
  }
  if (report.guardrail_breached) alarms.push(["bad", "a guardrail is breached"]);
  return alarms;
}
