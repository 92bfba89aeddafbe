// Brings the page to life: one step at a time, numbers to point at, changes that are computed and proved.

import { render } from "preact";
import { html } from "htm/preact";
import { board } from "./board.js";
import { labelOf, learn, placeOf } from "./labels.js";
import { entryAt, mark, renew, unmark } from "./numbers.js";
import { makeInputs, renewInputs } from "./inputs.js";
import { Apart, Changes, Switches, WaysChoice } from "./panels.js";
import { Provenance } from "./provenance.js";
import { State } from "./state.js";
import { Walk } from "./walk.js";

const $ = (id) => document.getElementById(id);
const told = JSON.parse($("told").textContent);
learn(told.symbols);
const state = new State(told);
let provenance = new Provenance(state.calculation, new Map(state.values));
let pointed = null;
let pinned = false;
let apart = told.apart;
let ways = told.ways;

// One step at a time ----------------------------------------------------------------------------------

const articles = state.moments.map((moment) => $(labelOf(moment.name, moment.t)));
const order = new Map(state.moments.map((moment, n) => [moment.key, n]));

function go(n, fromAddress = false) {
  state.at = Math.max(0, Math.min(state.moments.length - 1, n));
  const moment = state.moments[state.at];
  articles.forEach((article, k) => article.classList.toggle("current", k === state.at));
  for (const matrix of articles[state.at].querySelectorAll("[data-of]")) prepare(matrix);
  for (const box of document.querySelectorAll("[data-box]")) {
    const at = order.get(box.dataset.box) ?? -1;
    box.classList.toggle("later", at > state.at);
    box.classList.toggle("current", at === state.at);
  }
  for (const cell of document.querySelectorAll("[data-cell]")) {
    const at = order.get(cell.dataset.cell);
    cell.classList.toggle("later", at > state.at);
    cell.classList.toggle("current", at === state.at);
  }
  const lines = document.querySelectorAll("svg [data-to]");
  for (const group of lines) group.classList.toggle("current", group.dataset.to === moment.key);
  for (const box of document.querySelectorAll(".operand")) box.classList.remove("operand");
  const first = provenance.of(moment.key, 0, 0);
  for (const { key } of first?.sources ?? []) {
    document.querySelector(`[data-box="${CSS.escape(key)}"]`)?.classList.add("operand");
  }
  if (!fromAddress) {
    state.absent = "";
    remember(`#${labelOf(moment.name, moment.t)}`);
  }
  point(null);
}

/** Put the step into the address, without an entry in the history for each. */
function remember(fragment) {
  try {
    history.replaceState(null, "", fragment);
  } catch {
    // a page inside another, as in a notebook, has no address of its own
  }
}

function fromAddress() {
  const label = location.hash.slice(1).replaceAll("%3A", ":").replaceAll("%3D", "=");
  const labels = state.moments.map((moment) => labelOf(moment.name, moment.t));
  const n = labels.findIndex((one) => one === label || one.startsWith(`${label}:`));
  state.absent = n < 0 && /^t=\d+/.test(label) ? label : "";
  if (n < 0) show();
  else go(n, true);
  return n >= 0;
}

/** Let a matrix be reached by keyboard. */
function prepare(matrix) {
  const key = matrix.getAttribute("data-of");
  matrix.setAttribute("tabindex", "0");
  matrix.setAttribute("aria-label", `${placeOf(key)}: arrow keys go from number to number`);
}

// Pointing --------------------------------------------------------------------------------------------

function point(entry, pin = false) {
  pointed = entry;
  pinned = pin && entry !== null;
  unmark("pointed", "source");
  if (entry) {
    mark(entry, "pointed");
    for (const source of provenance.of(entry.key, entry.i, entry.j)?.sources ?? []) mark(source, "source");
  }
  show();
}

document.addEventListener("pointerover", (event) => {
  const entry = pinned ? null : entryAt(event.target);
  if (entry) point(entry);
});
document.addEventListener("click", (event) => {
  const entry = entryAt(event.target);
  if (entry) point(entry, true);
  const box = event.target.closest?.("a[data-box]");
  if (box && order.has(box.dataset.box)) {
    event.preventDefault();
    go(order.get(box.dataset.box));
  }
});

const MOVES = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
const STEPS = {
  ArrowRight: () => go(state.at + 1),
  ArrowLeft: () => go(state.at - 1),
  Home: () => go(0),
  End: () => go(state.moments.length - 1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape") {
    document.activeElement?.closest?.("[data-of]")?.blur();
    return point(null);
  }
  const target = event.target;
  if (target.closest?.("input, select, textarea, .scroll:focus")) return;
  const matrix = target.closest?.("[data-of]");
  if (matrix && event.key in MOVES) move(matrix, MOVES[event.key]);
  else if (event.key in STEPS) STEPS[event.key]();
  else return;
  event.preventDefault();
});

/** Go from the number that is pointed at to the one beside it. */
function move(matrix, [down, right]) {
  const rows = [...matrix.children].map((row) => [...row.children]);
  const marked = rows.flat().find((cell) => cell.classList.contains("pointed"));
  const r = rows.findIndex((row) => row.includes(marked));
  const c = marked ? rows[r].indexOf(marked) : -1;
  const next = marked ? rows[r + down]?.[c + right] : rows[0][0];
  const entry = next && entryAt(next);
  if (entry) point(entry, true);
}

// Changes ---------------------------------------------------------------------------------------------

function change(made) {
  made();
  provenance = new Provenance(state.calculation, state.values);
  document.documentElement.classList.toggle("changed", state.changed);
  renew(state.values);
  renewWays();
  renewSwitched();
  renewInputs(state);
  point(pointed, pinned);
}

function renewWays() {
  if (!ways || !told.whole) return;
  const values = state.ways(ways.t, ways.sequence);
  renew(values, $("ways"));
  for (const [key, matrix] of values) provenance.values.set(key, matrix);
}

/** What each contribution is worth, on the numbers that are there now. */
function renewSwitched() {
  if (!told.editable || state.stale) return;
  const right = state.calculation.evaluate(state.given);
  told.contributions.forEach((name, n) => {
    const wrong = state.calculation.evaluate(state.given, { without: new Set([name]) });
    for (const row of document.querySelectorAll("[data-gradient]")) {
      row.cells[n + 1].textContent = inWords(state.off(row.dataset.gradient, right, wrong));
    }
  });
}

function inWords(off) {
  if (off === null) return "0 both ways";
  if (Number.isNaN(off)) return "not a number";
  if (off === Infinity) return "not 0, as it should be";
  if (off === 0) return "unchanged";
  if (off === 1) return "lost";
  return off >= 0.01 ? `off by ${(100 * off).toFixed(0)} %` : "off by < 1 %";
}

// What is shown ---------------------------------------------------------------------------------------

function show() {
  render(html`<${Walk} state=${state} go=${go} pointed=${pointed} provenance=${provenance} point=${point} />`, $("walk"));
  if (!told.editable) return;
  render(html`<${Changes} state=${state} change=${change} />`, $("editing"));
  render(html`<${Switches} state=${state} change=${change} />`, $("switches"));
  if (!told.whole) return;
  render(html`<${Apart} state=${state} provenance=${provenance} chosen=${apart} choose=${(to) => { apart = to; show(); }} />`, $("products"));
  if (ways) {
    render(html`<${WaysChoice} state=${state} chosen=${ways} choose=${(to) => { ways = to; renewWays(); show(); }} />`, $("ways-choice"));
  }
}

document.documentElement.classList.add("walking");
$("walk").after($("steps"));
$("board").replaceWith(board(state));
$("products").replaceChildren();
if (told.editable) makeInputs(state, change);
renewWays();
if (!fromAddress()) go(state.at, true);
window.addEventListener("hashchange", fromAddress);
