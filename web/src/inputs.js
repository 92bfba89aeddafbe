// The numbers that are given, each in a field of its own to be changed in place.

import { entryAt } from "./numbers.js";
import { number } from "./writing.js";

/** Make every number that is given one that can be changed; `change` runs what follows from it. */
export function makeInputs(state, change) {
  for (const holder of document.querySelectorAll("[data-given]")) {
    const from = holder.querySelector("[data-of]");
    const made = document.createElement("table");
    made.className = "inputs";
    for (const row of from.children) {
      const line = made.insertRow();
      for (const cell of row.children) line.insertCell().append(field(state, change, holder, cell));
    }
    from.closest("math").replaceWith(made);
  }
}

function field(state, change, holder, cell) {
  const entry = entryAt(cell);
  if (!entry) return cell.textContent; // dots, or what the row stands for
  const { key, i, j } = entry;
  const made = document.createElement("input");
  Object.assign(made, { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false });
  Object.assign(made.dataset, { key, i, j });
  made.setAttribute("aria-label", `${holder.dataset.text}, row ${i}, column ${j}`);
  const value = () => state.given.get(key).at(i, j);
  made.value = number(value());
  made.addEventListener("focus", () => {
    made.value = String(value());
    made.select();
  });
  made.addEventListener("blur", () => {
    made.value = number(value());
    made.removeAttribute("aria-invalid");
  });
  made.addEventListener("change", () => {
    const typed = readNumber(made.value);
    const noShare = state.isTarget(key) && !(typed >= 0 && typed <= 1);
    const noTarget = state.isNoTarget(key, j);
    const bad = noTarget || !Number.isFinite(typed) || noShare;
    made.setAttribute("aria-invalid", String(bad));
    const share = noShare && Number.isFinite(typed) ? "a share from 0 to 1" : "a finite number";
    const expected = noTarget ? "no change, for there is no target here" : share;
    state.refused = bad
      ? `“${made.value}” is not taken for ${made.getAttribute("aria-label")}: expected ${expected}.`
      : "";
    change(() => bad || state.edit(key, i, j, typed));
  });
  return made;
}

/** The number that a text says in digits, with a point where it needs one; NaN for any other text. */
function readNumber(text) {
  const said = text.trim().replaceAll("−", "-");
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(said) ? Number(said) : NaN;
}

/** Write into every field what is given now, and mark what was changed. */
export function renewInputs(state) {
  for (const made of document.querySelectorAll(".inputs input")) {
    const { key, i, j } = made.dataset;
    made.classList.toggle("changed", state.edits.has(`${key} ${i} ${j}`));
    const value = state.given.get(key).at(Number(i), Number(j));
    if (made !== document.activeElement) made.value = number(value);
  }
}
