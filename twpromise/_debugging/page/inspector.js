"use strict";

// What comes from the service goes into the page as text only, never as markup.

const find = (selector) => document.querySelector(selector);

/** A new element, with classes, and with texts and elements in it. */
function make(tag, classes, ...inside) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...inside);
  return element;
}

let shown = null;        // What the service has sent last.
let sortKey = "id";
let descending = false;
let paused = false;
let timer = 0;
let loading = false;

// --- texts

function duration(seconds) {
  if (seconds === null) return "";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** The end of a path is enough to know a file by; the whole is in the title. */
function placeOf(line, classes) {
  const parts = /^File "(.*)", line (\d+), in (.*)$/.exec(line);
  if (!parts) return make("div", classes, line);
  const file = parts[1].split(/[\\/]/).slice(-2).join("/");
  const element = make("div", classes, `${file}:${parts[2]} in ${parts[3]}`);
  element.title = line;
  return element;
}

function linkTo(id) {
  const link = make("a", "", `#${id}`);
  link.href = `#p${id}`;
  return link;
}

/** A text that may name promises: `#12`. */
const waitText = (wait) =>
  wait.id === null || new RegExp(`#${wait.id}\\b`).test(wait.text) ? wait.text : `${wait.text} #${wait.id}`;

function linked(text, ids) {
  return text.split(/(#\d+)/).map((part) =>
    /^#\d+$/.test(part) && ids.has(Number(part.slice(1))) ? linkTo(Number(part.slice(1))) : part);
}

// --- the table

const keys = {
  id: (one) => one.id,
  name: (one) => one.name,
  state: (one) => one.state,
  age: (one) => one.age,
  waits: (one) => one.waits_for.map((wait) => wait.text).join("\n"),
  waiters: (one) => one.waited_for_by.length,
  place: (one) => one.place,
};

function compare(one, other) {
  const [a, b] = [keys[sortKey](one), keys[sortKey](other)];
  // What is not known comes last, whichever way.
  if (a === null || b === null) return (a === null) - (b === null) || one.id - other.id;
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return (descending ? -order : order) || one.id - other.id;
}

/** Whether each word of the filter is found; `#12` is just that number. */
function matches(one, words) {
  const text = [one.name, one.state, one.place, one.repr, ...one.coroutine,
    ...one.waits_for.map((wait) => wait.text)].join("\n").toLowerCase();
  return words.every((word) =>
    /^#\d+$/.test(word) ? one.id === Number(word.slice(1)) : text.includes(word));
}

function rowOf(one, ids, locked) {
  const cells = [
    ["", linkTo(one.id)],
    ["", make("div", "name", one.name),
      ...(one.repr === undefined ? [] : [make("div", "lines", one.repr)]),
      ...one.coroutine.map((line) => placeOf(line, "lines"))],
    ["", make("span", `state ${one.state}`, one.state)],
    ["age", ...(one.age === null ? [] : [duration(one.age)])],
    ["waits for", ...one.waits_for.map((wait) => make("div", "", ...linked(waitText(wait), ids)))],
    ["waited for by", ...one.waited_for_by.flatMap((id, at) => at ? [", ", linkTo(id)] : [linkTo(id)])],
    ["made at", ...(one.place === null ? [] : [placeOf(one.place, "place")])],
  ];
  const row = make("tr", locked.has(one.id) ? "locked" : "");
  row.id = `p${one.id}`;
  for (const [label, ...inside] of cells) {
    const cell = make("td", "", ...inside);
    if (label) cell.dataset.label = label;
    row.append(cell);
  }
  return row;
}

function showTable() {
  const words = find("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const ids = new Set(shown.promises.map((one) => one.id));
  const locked = new Set(shown.cycles.flat());
  const rows = shown.promises.filter((one) => matches(one, words)).sort(compare);
  find("#pending tbody").replaceChildren(...rows.map((one) => rowOf(one, ids, locked)));
  const of = shown.sampled ? `a sample of ${shown.shown} of about ${shown.total}` : shown.total;
  find("#count").textContent = words.length ? `${rows.length} of ${of} pending` : `${of} pending`;
  for (const button of document.querySelectorAll("th button")) {
    const sorted = button.dataset.key === sortKey;
    if (sorted) button.parentNode.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else button.parentNode.removeAttribute("aria-sort");
  }
}

// --- the tree

/** One line for each promise and for each thing that it waits for, indented; as `dump` does. */
function showTree() {
  const records = new Map(shown.promises.map((one) => [one.id, one]));
  const free = shown.promises.filter((one) => !one.waited_for_by.length);
  const done = new Set();
  const lines = [];
  for (const root of [...free, ...shown.promises]) {
    if (done.has(root.id)) continue;
    const todo = [{ depth: 0, text: "", id: root.id }];
    while (todo.length) {
      const { depth, text, id } = todo.pop();
      const line = make("li", depth ? "" : "root");
      line.style.paddingLeft = `${Math.min(depth, 12) * 18}px`;
      lines.push(line);
      const one = records.get(id);
      if (depth) line.append("waits for ");
      if (!one) {
        line.append(text);
        continue;
      }
      line.append(linkTo(id), " ", make("span", depth ? "" : "name", text || one.name));
      if (done.has(id)) {
        line.append(" (see above)");
        continue;
      }
      done.add(id);
      if (one.state === "cancelling") line.append(", is being cancelled");
      if (one.age !== null) line.append(`, ${duration(one.age)} old`);
      line.append(...one.coroutine.map((at) => placeOf(at, "lines")));
      for (const wait of [...one.waits_for].reverse()) todo.push({ depth: depth + 1, ...wait });
    }
  }
  find("#tree ol").replaceChildren(...(lines.length ? lines : [make("li", "none", "Nothing.")]));
}

// --- the rest

function showCycles() {
  const records = new Map(shown.promises.map((one) => [one.id, one]));
  const items = shown.cycles.map((cycle) => {
    const item = make("li");
    for (const id of cycle) item.append(linkTo(id), ` ${records.get(id).name} → `);
    item.append(linkTo(cycle[0]));
    // As `dump` says it: who holds what is a guess.
    const waits = cycle.flatMap((id) => records.get(id).waits_for).filter((wait) => wait.id !== null);
    if (waits.some((wait) => wait.text.endsWith("it seems"))) item.append(", it seems");
    return item;
  });
  find("#cycles ul").replaceChildren(...items);
  find("#cycles").hidden = !items.length;
}

function showStatistics() {
  const figures = { "pending, found": shown.total, ...shown.statistics };
  const items = Object.entries(figures).filter(([, figure]) => figure !== null).map(([name, figure]) => {
    let text = `${figure}`;
    if (name === "drains") text = `${figure.count}, ${duration(figure.seconds)} in all`;
    if (typeof figure === "number" && !Number.isInteger(figure)) text = duration(figure);
    return make("div", "", make("dt", "", name.replaceAll("_", " ")), make("dd", "", text));
  });
  find("#statistics").replaceChildren(...items);
}

function showFailures() {
  const list = find("#failures div");
  const known = new Map([...list.children].map((one) => [one.dataset.id, one]));
  // Those that are there stay: they may be open.
  list.replaceChildren(...shown.failures.map((failed) => {
    // A service that has been started again counts from 1 again.
    const id = `${failed.id} ${failed.time}`;
    const former = known.get(id);
    if (former) return former;
    const time = make("time", "", new Date(failed.time * 1000).toLocaleTimeString());
    const summary = make("summary", "", time, " ", make("strong", "", failed.reason), ` ${failed.what}`);
    const element = make("details", "", summary, make("pre", "", failed.trace));
    element.dataset.id = id;
    return element;
  }));
  find("#failures .none").hidden = shown.failures.length > 0;
  find("#failed-count").textContent = `(${shown.failures.length})`;
}

function show() {
  showCycles();
  showStatistics();
  showTable();
  showTree();
  showFailures();
  document.title = `${shown.cycles.length ? "Deadlock! " : ""}${shown.total} promises`;
}

// --- refreshing

function status() {
  const at = shown ? `as of ${new Date(shown.time * 1000).toLocaleTimeString()}` : "";
  find("#when").textContent = paused ? `${at}, paused` : at;
}

async function load() {
  if (loading) return;
  loading = true;
  clearTimeout(timer);
  const error = find("#error");
  try {
    const response = await fetch("snapshot.json", { signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error(await response.text());
    shown = await response.json();
    error.hidden = true;
    show();
  } catch (problem) {
    error.textContent = `The service does not answer: ${problem.message}`;
    error.hidden = false;
  }
  status();
  loading = false;
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (!paused) timer = setTimeout(load, Number(find("#every").value) * 1000);
}

find("#pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.textContent = paused ? "Continue" : "Pause";
  event.target.setAttribute("aria-pressed", paused);
  status();
  if (paused) clearTimeout(timer);
  else load();
});
find("#refresh").addEventListener("click", load);
find("#every").addEventListener("change", schedule);
find("#filter").addEventListener("input", () => shown && showTable());
find("#pending thead").addEventListener("click", (event) => {
  const key = event.target.dataset.key;
  if (!key) return;
  descending = key === sortKey ? !descending : key === "age" || key === "waiters";
  sortKey = key;
  if (shown) showTable();
});

load();
