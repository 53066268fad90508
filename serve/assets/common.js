// What the pages share: elements, numbers, charts that fall back to tables, the stream.
// Text from the server only ever becomes text nodes, never markup.

export function $(id) {
  return document.getElementById(id);
}

// el("td", {class: "number"}, "12") makes an element; children may be nodes or text.
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// Replaces the children only when what they are made from has changed, so that a screen
// reader, a selection or a focused link is not disturbed every second.
export function fillWhenNew(node, data, make) {
  const key = JSON.stringify(data);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  fill(node, make(data));
}

export const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
export const count = (x) => (isNumber(x) ? x.toLocaleString("en") : "–");
export const percent = (x, places = 2) => (isNumber(x) ? `${(100 * x).toFixed(places)} %` : "–");
// Significant digits, without zeros that say nothing, with a minus that is one.
export const decimal = (x, digits = 4) => (isNumber(x) ? String(+x.toPrecision(digits)).replace("-", "−") : "–");

export function bytes(x) {
  if (!isNumber(x)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (x >= 1024 && i < units.length - 1) {
    x /= 1024;
    i++;
  }
  return `${i ? x.toFixed(1) : x} ${units[i]}`;
}

export function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 1) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

export function clock(us) {
  return isNumber(us) ? new Date(us / 1000).toISOString().replace("T", " ").slice(0, 19) : "–";
}

export function table(caption, heads, rows) {
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, heads.map((head) => (typeof head === "string"
        ? el("th", { scope: "col" }, head)
        : el("th", { scope: "col", class: "number" }, head[0]))))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, i) => (i === 0
        ? el("th", { scope: "row" }, cell)
        : el("td", { class: typeof heads[i] === "string" ? null : "number" }, cell))))))));
}

export const STATUS_CLASS = { running: "good", paused: "warn", stopped: "bad", draft: "" };
export const badge = (text, kind) => el("span", { class: `badge ${kind ?? ""}` }, text);

export function armName(name, index) {
  return el("span", { class: "arm" }, el("span", { class: `swatch swatch-${index % 4}`, "aria-hidden": "true" }), name);
}

export async function getJson(url, options) {
  const answer = await fetch(url, { cache: "no-store", ...options });
  const text = await answer.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    body = { detail: text.slice(0, 200) };
  }
  if (!answer.ok) {
    const error = new Error(body?.detail ?? `${answer.status} ${answer.statusText}`);
    error.status = answer.status;
    throw error;
  }
  return body;
}

// Server-sent events, by name; the browser connects again by itself.
export function follow(handlers) {
  const source = new EventSource("/v1/dashboard/stream");
  const link = $("link-state");
  const show = (text, kind) => {
    link.textContent = text;
    link.className = kind;
  };
  show("connecting", "");
  source.addEventListener("open", () => show("live", "is-live"));
  source.addEventListener("error", () => show("connection lost, trying again", "is-lost"));
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (message) => handle(JSON.parse(message.data)));
  }
  return source;
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const armColor = (index) => css(`--arm-${index % 4}`) || css("--soft");

// A chart by Chart.js where the server was built with it; otherwise the canvas stays
// hidden and its <details> with the same numbers as a table is opened.
export function chart(box, make) {
  const canvas = box.querySelector("canvas");
  const details = box.querySelector("details");
  if (!window.Chart) {
    canvas.parentElement.hidden = true;
    details.open = true;
    return { update() {} };
  }
  let made = null;
  const update = (...data) => {
    const config = make(...data);
    const color = css("--soft"), grid = css("--line");
    for (const scale of Object.values(config.options.scales ?? {})) {
      scale.ticks = { color, ...scale.ticks };
      scale.grid = { color: grid, ...scale.grid };
      if (scale.title) scale.title.color = color;
    }
    config.options = { animation: false, maintainAspectRatio: false, ...config.options };
    const legend = config.options.plugins?.legend;
    config.options.plugins = { legend: { ...legend, labels: { color, ...legend?.labels } } };
    if (made) {
      made.data = config.data;
      made.options = config.options;
      made.update("none");
    } else {
      made = new window.Chart(canvas, config);
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let last = null;
  dark.addEventListener("change", () => last && update(...last));
  return {
    update(...data) {
      last = data;
      update(...data);
    },
  };
}
