// What is added to the studies: switches, the choice of an entry or a target, changes and their proof.

import { html } from "htm/preact";
import { symbolOf } from "./labels.js";
import { split } from "./walk.js";
import { number } from "./writing.js";

/** What was changed, how to go back, and the proof of what follows. */
export function Changes({ state, change }) {
  const refused = html`<p class="refused" role="status">${state.refused}</p>`;
  if (!state.changed) return refused;
  const before = state.original.get("loss").at(0, 0);
  const now = state.values.get("loss").at(0, 0);
  return html`${refused}<div class="changes" role="status">
    <ul>
      ${[...state.edits.values()].map(({ key, i, j, before: was }) => {
        const value = state.given.get(key).at(i, j);
        return html`<li>${symbolOf(...split(key))}[${i}, ${j}] is ${number(value)}, was ${number(was)}</li>`;
      })}
      ${[...state.without].map((name) => html`<li>${symbolOf(name, null)} is left out</li>`)}
    </ul>
    <p>Loss <b>${number(now, 8)}</b>, was ${number(before, 8)}. <button onClick=${() => change(() => state.reset())}>back to the numbers that came</button></p>
    <${Proof} rows=${state.proof} />
    ${state.stale ? html`<p>The tables of each loss alone and of contributions left out are older than your change: they take too long here.</p>` : ""}
  </div>`;
}

function Proof({ rows }) {
  return html`<details open>
    <summary>Proof: each gradient against central differences of the loss</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="proof"><table class="plain proof">
      <thead><tr><th scope="col">gradient</th><th scope="col">entries checked</th><th scope="col">off by, relative</th><th scope="col">verdict</th></tr></thead>
      <tbody>
        ${rows.map(({ name, checked, off, verdict }) => html`<tr class=${verdict === "wrong" ? "bad" : ""}>
          <th scope="row">${symbolOf(name, null)}</th><td>${checked}</td><td>${number(off, 2)}</td><td>${verdict}</td>
        </tr>`)}
      </tbody>
    </table></div>
  </details>`;
}

/** A switch for each contribution. */
export function Switches({ state, change }) {
  return html`<fieldset><legend>Leave out, on the whole page</legend>
    ${state.told.contributions.map((name) => html`<label>
      <input type="checkbox" checked=${state.without.has(name)} onChange=${() => change(() => state.toggle(name))} />
      ${symbolOf(name, null)}
    </label>`)}
  </fieldset>`;
}

/** The entry of a gradient that is taken apart: rows of steps, columns of sequences. */
export function Apart({ state, provenance, chosen, choose }) {
  const { gradients, parameters, steps, axes } = state.told;
  const names = gradients.filter((name) => parameters.includes(name.slice(1)));
  const { name, i, j } = chosen;
  const total = state.values.get(name);
  const rows = steps.map((t) => ({ t, terms: products(state, provenance, name, t, i, j) }));
  const columns = overBatch(state, name) ? axes.m : [];
  const more = columns.length > 0 && columns.length < state.told.sizes.m;
  const every = steps.length < state.told.sizes.T ? "Σ of all steps" : "Σ";
  const shares = gradientShares(state, name, i, j);
  const pick = (field) => (event) =>
    choose({ i: 0, j: 0, ...(field === "name" ? {} : chosen), [field]: field === "name" ? event.target.value : Number(event.target.value) });
  const count = (n) => Array.from({ length: n }, (_, k) => k);
  const sizes = total.rows ? [total.rows, total.columns] : [count(total.n), count(total.m)];
  return html`
    <p class="choice">
      <label>gradient <select value=${name} onChange=${pick("name")}>${names.map((one) => html`<option selected=${one === name}>${one}</option>`)}</select></label>
      <label>row <select value=${i} onChange=${pick("i")}>${sizes[0].map((k) => html`<option selected=${k === i}>${k}</option>`)}</select></label>
      <label>column <select value=${j} onChange=${pick("j")}>${sizes[1].map((k) => html`<option selected=${k === j}>${k}</option>`)}</select></label>
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="products of one entry"><table class="plain">
      <thead><tr><th scope="col">step</th>${columns.map((k) => html`<th scope="col">sequence ${k}</th>`)}${more && html`<th scope="col">…</th>`}<th scope="col">share of the step</th></tr></thead>
      <tbody>
        ${rows.map(({ t, terms }) => html`<tr><th scope="row">t = ${t}</th>
          ${columns.map((k) => html`<td>${terms(k)}</td>`)}${more && html`<td>…</td>`}<td>${number(shares.get(t))}</td></tr>`)}
        <tr><th scope="row">${every}</th>${columns.map(() => html`<td></td>`)}${more && html`<td></td>`}<td><strong>${number(total.at(i, j) ?? NaN)}</strong></td></tr>
      </tbody>
    </table></div>`;
}

function gradientShares(state, name, i, j) {
  return new Map(state.told.steps.map((t) => [t, state.values.get(`${t}:${name}`)?.at(i, j) ?? NaN]));
}

const shareOf = (state, name) =>
  state.told.equations.find((one) => one.name === name && one.direction === "backward").entry;

/** Whether a share is a sum over the sequences. */
function overBatch(state, name) {
  const [operation, , axis] = shareOf(state, name);
  return operation === "sum" && axis === "m";
}

/** What each sequence adds to a share, written out, from the share's own equation. */
function products(state, provenance, name, t, i, j) {
  const [, index, , body] = shareOf(state, name);
  return (k) => {
    const at = { i, j, [index]: k };
    const [pieces] = provenance.told(body, t, at, []);
    const text = pieces.map((piece) => (typeof piece === "string" ? piece : number(piece.value))).join("");
    if (pieces.length === 1) return text;
    return `${text} = ${number(state.calculation.bound(body, t, state.values, { zero: 0, ...at })())}`;
  };
}

/** Which target the study of the softmax is of. */
export function WaysChoice({ state, chosen, choose }) {
  const { steps, axes } = state.told;
  return html`<p class="choice">
    <label>step <select value=${chosen.t} onChange=${(e) => choose({ ...chosen, t: Number(e.target.value) })}>${steps.map((t) => html`<option selected=${t === chosen.t}>${t}</option>`)}</select></label>
    <label>sequence <select value=${chosen.sequence} onChange=${(e) => choose({ ...chosen, sequence: Number(e.target.value) })}>${axes.m.map((k) => html`<option selected=${k === chosen.sequence}>${k}</option>`)}</select></label>
  </p>`;
}
