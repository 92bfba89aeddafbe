// What a number was computed from: the entries, and the sum or product written out with them.

import { keyOf } from "./calculation.js";

const MOST = 8; // terms of a sum that are written
const [SUM, TIMES, ATOM] = [0, 1, 2];
const INFIX = {
  add: [" + ", SUM, SUM],
  subtract: [" − ", SUM, TIMES],
  multiply: [" · ", TIMES, TIMES],
  divide: [" / ", TIMES, ATOM],
  less: [" < ", SUM, SUM],
  at_most: [" ≤ ", SUM, SUM],
};
const CALLED = { sigmoid: "σ" };

/** An entry of the study of the softmax, whose quantities have keys of their own. */
function ofStudy([operation, ...rest]) {
  if (operation === "entry") return ["entry", `ways:${rest[0]}`, rest[1], rest[2], ""];
  return [operation, ...rest.map((one) => (Array.isArray(one) ? ofStudy(one) : one))];
}

/** Writes entries of a calculation; `values` maps a key to its matrix. */
export class Provenance {
  constructor(calculation, values) {
    Object.assign(this, { calculation, values });
    this.equations = new Map();
    for (const [index, t] of calculation.told.order) {
      const equation = calculation.told.equations[index];
      this.equations.set(keyOf(equation.name, t), [equation, t]);
    }
    for (const equation of calculation.told.three_ways) {
      this.equations.set(`ways:${equation.name}`, [{ ...equation, entry: ofStudy(equation.entry) }, null]);
    }
  }

  /** Whether a key is of something that nothing computes. */
  isGiven(key) {
    return this.values.has(key) && !this.equations.has(key);
  }

  /**
   * What entry (i, j) of a key was computed from: `pieces` to be read from left to right, texts and
   * entries {key, i, j, value}, and `sources`, all of the entries. Null for what is given.
   */
  of(key, i, j) {
    const found = this.equations.get(key);
    if (!found) return null;
    const [equation, t] = found;
    const sources = [];
    const [pieces] = this.told(equation.entry, t, { i, j }, sources);
    return { name: equation.name, pieces, sources };
  }

  /** The pieces of an expression, and how tightly it binds. */
  told(tree, t, at, sources) {
    const [operation, ...rest] = tree;
    if (operation === "entry") return this.entry(rest, t, at, sources);
    if (operation === "number") return [[String(rest[0])], ATOM];
    if (operation === "sum" || operation === "largest") return this.over(tree, t, at, sources);
    if (operation === "call") {
      const [inner] = this.told(rest[1], t, at, sources);
      return [[`${CALLED[rest[0]] ?? rest[0]}(`, ...inner, ")"], ATOM];
    }
    if (operation === "where") return this.chosen(rest, t, at, sources);
    if (operation in INFIX) {
      const [sign, own, needed] = INFIX[operation];
      const left = this.bracketed(rest[0], own, t, at, sources);
      return [[...left, sign, ...this.bracketed(rest[1], needed, t, at, sources)], own];
    }
    if (operation === "negative") {
      return [["−", ...this.bracketed(rest[0], TIMES, t, at, sources)], SUM];
    }
    const inner = this.bracketed(rest[0], operation === "square" ? ATOM : SUM, t, at, sources);
    if (operation === "square") return [[...inner, "²"], ATOM];
    if (operation === "exp") return [["e^(", ...inner, ")"], ATOM];
    return [[`${operation}(`, ...inner, ")"], ATOM];
  }

  bracketed(tree, needed, t, at, sources) {
    const [pieces, own] = this.told(tree, t, at, sources);
    const negative = needed > SUM && pieces.length === 1 && pieces[0].value < 0;
    return own < needed || negative ? ["(", ...pieces, ")"] : pieces;
  }

  entry([name, row, column, step], t, at, sources) {
    const key = this.calculation.placed(name, step, t);
    if (key === null) return [["0"], ATOM];
    const [i, j] = [row, column].map((index) => (index === 0 ? 0 : at[index]));
    const entry = { key, i, j, value: this.values.get(key)?.at(i, j) };
    sources.push(entry);
    return [[entry], ATOM];
  }

  /** A sum, or the largest, with its terms written out as far as they are few and are there. */
  over([operation, index, axis, body], t, at, sources) {
    const size = this.calculation.size(axis);
    const terms = [];
    for (let k = 0; k < size; k++) {
      const own = [];
      const [step, where] = axis === "T" ? [k, at] : [t, { ...at, [index]: k }];
      const term = this.bracketed(body, SUM, step, where, own);
      sources.push(...own);
      if (own.every((entry) => entry.value !== undefined)) terms.push(term);
    }
    const shown = terms.slice(0, terms.length > MOST + 1 ? MOST : terms.length);
    const [start, sign, end] = operation === "sum" ? ["", " + ", ""] : ["max(", ", ", ")"];
    const pieces = shown.flatMap((term, k) => (k ? [sign, ...term] : term));
    const left = size - shown.length;
    if (left) pieces.push(`${sign}… ${left} more`);
    return [[start, ...pieces, end].filter(Boolean), operation === "sum" && size > 1 ? SUM : TIMES];
  }

  /** Of two values the one that the condition chooses. */
  chosen([condition, value, other], t, at, sources) {
    const own = [];
    const [said] = this.told(condition, t, at, own);
    sources.push(...own);
    if (own.some((entry) => entry.value === undefined)) {
      const [[one], [another]] = [value, other].map((tree) => this.told(tree, t, at, sources));
      return [[...one, " if ", ...said, ", else ", ...another], SUM];
    }
    const holds = this.calculation.bound(condition, t, this.values, { zero: 0, ...at })();
    const [pieces] = this.told(holds ? value : other, t, at, sources);
    return [[...pieces, holds ? " since " : " since not ", ...said], SUM];
  }
}
