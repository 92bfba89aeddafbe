// The board: a row for each quantity, a column for each step, filling with numbers as one walks.

import { symbolOf } from "./labels.js";

/** Build the board from the matrices that stand in the steps, and return the element. */
export function board(state) {
  const made = document.createElement("section");
  made.id = "board";
  made.setAttribute("aria-labelledby", "board-title");
  const table = element("table", { className: "board" });
  const { steps } = state.told;
  const head = element("tr", {}, element("td"), ...steps.map((t) => heading("col", `t = ${t}`)));
  table.append(element("thead", {}, head));
  for (const way of ["forward", "backward"]) {
    const names = new Set(state.moments.filter((m) => m.way === way && m.t !== null).map((m) => m.name));
    const body = element("tbody", { className: way });
    for (const name of names) {
      const cells = steps.map((t) => cell(`${t}:${name}`, state.told.theirs));
      body.append(element("tr", {}, heading("row", symbolOf(name, null)), ...cells));
    }
    table.append(body);
  }
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "the board of numbers");
  made.append(
    element("h2", { id: "board-title" }, "All numbers so far"),
    element("p", {}, "What has been computed up to this step; the rest fills in as you go on."),
    scroll,
  );
  return made;
}

function cell(key, theirs) {
  const made = element("td");
  made.dataset.cell = key;
  if (theirs?.wrong.includes(key)) made.classList.add("wrong");
  else if (theirs?.follows.includes(key)) made.classList.add("follows");
  const from = document.querySelector(`#steps [data-of="${CSS.escape(key)}"]`);
  if (!from) return made;
  const math = document.createElementNS("http://www.w3.org/1998/Math/MathML", "math");
  math.append(from.cloneNode(true));
  made.append(math);
  return made;
}

const heading = (scope, text) => Object.assign(element("th", {}, text), { scope });

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
