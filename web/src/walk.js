// The bar to walk with: back, on, to any step; and what the number that is pointed at was computed from.

import { html } from "htm/preact";
import { labelOf, symbolOf } from "./labels.js";
import { number } from "./writing.js";

export function Walk({ state, go, pointed, provenance, point }) {
  const { moments, at } = state;
  const last = moments.length - 1;
  const turn = moments.findIndex((moment) => moment.way === "backward");
  const now = moments[at];
  return html`
    <nav aria-label="steps of the calculation">
      <div class="buttons">
        <button onClick=${() => go(0)} disabled=${at === 0} >first</button>
        <button onClick=${() => go(at - 1)} disabled=${at === 0}>← back</button>
        <button class="main" onClick=${() => go(at + 1)} disabled=${at === last}>next →</button>
        <button onClick=${() => go(last)} disabled=${at === last} >last</button>
        <button onClick=${() => go(turn)}>to the backward</button>
        ${state.mistakes.length ? html`<button onClick=${() => go(state.mistakes.find((n) => n > at) ?? state.mistakes[0])}>to the ${state.mistakes.length > 1 ? "next " : ""}mistake</button>` : ""}
        <label><span>go to</span> <${Choice} moments=${moments} at=${at} go=${go} /></label>
      </div>
      <progress max=${last} value=${at} aria-label="how far"></progress>
      <p role="status">
        ${at + 1} of ${moments.length}: <strong>${symbolOf(now.name, now.t)}</strong>, ${now.way}
        ${state.changed ? html` <em>· changed by you</em>` : ""}
        ${state.absent ? html` <em>· the step ${state.absent} of the address is not among those that are shown</em>` : ""}
      </p>
      <${Pointed} pointed=${pointed} provenance=${provenance} point=${point} />
      <details class="keys"><summary>Keys</summary>
        <kbd>→</kbd> next, <kbd>←</kbd> back, <kbd>Home</kbd> and <kbd>End</kbd>. <kbd>Tab</kbd> goes to a matrix, in
        which the arrows go from number to number; <kbd>Esc</kbd> leaves it.
      </details>
    </nav>
  `;
}

function Choice({ moments, at, go }) {
  const groups = new Map();
  moments.forEach((moment, n) => {
    const group = moment.t === null ? "over all steps" : `${moment.way}, t = ${moment.t}`;
    groups.set(group, [...(groups.get(group) ?? []), [n, moment]]);
  });
  return html`<select aria-label="go to a step" value=${at} onChange=${(event) => go(Number(event.target.value))}>
    ${[...groups].map(
      ([name, members]) => html`<optgroup label=${name}>
        ${members.map(([n, moment]) => html`<option value=${n} selected=${n === at}>${labelOf(moment.name, moment.t)}</option>`)}
      </optgroup>`,
    )}
  </select>`;
}

/** The number that is pointed at, with what it was computed from. */
function Pointed({ pointed, provenance, point }) {
  if (!pointed) return html`<p class="provenance empty" aria-live="polite">Point at any number to see what it was computed from.</p>`;
  const told = provenance.of(pointed.key, pointed.i, pointed.j);
  const value = provenance.values.get(pointed.key)?.at(pointed.i, pointed.j);
  const exact = value === undefined ? "" : `exactly ${String(value).replaceAll("-", "−")}`;
  return html`<p class="provenance" aria-live="polite">
    <${Entry} entry=${{ ...pointed, value }} named=${true} point=${point} />
    ${told
      ? html` = ${told.pieces.map((piece) => (typeof piece === "string" ? piece : html`<${Entry} entry=${piece} point=${point} />`))}`
      : html` is given`}
    <small>${exact}</small>
  </p>`;
}

function Entry({ entry, named = false, point }) {
  const [name, t] = split(entry.key);
  const place = `${symbolOf(name, t)}[${entry.i}, ${entry.j}]`;
  const text = entry.value === undefined ? place : number(entry.value);
  const show = () => point(entry, true);
  return named
    ? html`<b>${place}</b> = <b>${text}</b>`
    : html`<button class="entry" title=${place} aria-label=${`${text}, ${place}`} onClick=${show}>${text}</button>`;
}

export function split(key) {
  const [t, name] = key.includes(":") ? key.split(":") : [null, key];
  return [name, t === null ? null : Number(t)];
}
