// The numbers that stand on the page: which entry of which quantity each is, and how they are renewed.

import { number } from "./writing.js";

const listed = (table, name) => table.dataset?.[name]?.split(",").map(Number);

/** The entry {key, i, j} that an element stands in; null if it stands in none. */
export function entryAt(element) {
  const cell = element.closest?.("mtd");
  const table = cell?.closest("[data-of]");
  if (!table || cell.classList.contains("more")) return null;
  const row = cell.parentElement;
  if (row.classList.contains("more")) return null;
  const [r, c] = [[...table.children].indexOf(row), [...row.children].indexOf(cell)];
  return {
    key: attribute(table),
    i: listed(table, "rows")?.[r] ?? r,
    j: listed(table, "columns")?.[c] ?? c,
    text: cell.textContent,
  };
}

const attribute = (table) => table.getAttribute("data-of");

/** The cells of a matrix with the entries they stand for. */
function* cellsOf(table) {
  const [rows, columns] = [listed(table, "rows"), listed(table, "columns")];
  for (const [r, row] of [...table.children].entries()) {
    if (row.classList.contains("more")) continue;
    for (const [c, cell] of [...row.children].entries()) {
      if (!cell.classList.contains("more")) yield [cell, rows?.[r] ?? r, columns?.[c] ?? c];
    }
  }
}

/** Write into every matrix on the page what `values` has for it. */
export function renew(values, root = document) {
  for (const table of root.querySelectorAll("[data-of]")) {
    const matrix = values.get(attribute(table));
    if (!matrix) continue;
    for (const [cell, i, j] of cellsOf(table)) {
      const text = number(matrix.at(i, j) ?? NaN);
      if (cell.textContent !== text) cell.replaceChildren(mn(text));
    }
  }
}

function mn(text) {
  const made = document.createElementNS("http://www.w3.org/1998/Math/MathML", "mn");
  made.textContent = text;
  return made;
}

/** Mark the cells of an entry, wherever it stands on the page. */
export function mark(entry, name) {
  for (const table of document.querySelectorAll(`[data-of="${CSS.escape(entry.key)}"]`)) {
    for (const [cell, i, j] of cellsOf(table)) {
      if (i === entry.i && j === entry.j) cell.classList.add(name);
    }
  }
}

/** Take marks away. */
export function unmark(...names) {
  for (const name of names) {
    for (const cell of [...document.getElementsByClassName(name)]) cell.classList.remove(name);
  }
}
