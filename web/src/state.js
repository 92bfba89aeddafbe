// What the page is at: which step, what was changed, what is switched off; and all numbers that follow.

import { Calculation, keyOf, Matrix } from "./calculation.js";
import { proved } from "./proof.js";

const QUICK = 60; // milliseconds that one evaluation may take for the losses of each step alone

export class State {
  constructor(told) {
    this.told = told;
    this.calculation = new Calculation(told);
    this.original = this.values = this.calculation.given;
    this.given = new Map(this.original);
    this.edits = new Map(); // "key i j" -> what it was
    this.without = new Set();
    this.refused = ""; // what was typed last, if it was no number that can be taken
    this.absent = ""; // the step that the address asks for, if it is not shown
    this.proof = null;
    this.stale = false; // whether the table of losses alone is older than the numbers
    this.moments = told.shown.map((n) => {
      const [index, t] = told.order[n];
      const { name, direction } = told.equations[index];
      const forward = direction === "forward" || name === "loss";
      return { key: keyOf(name, t), name, t, way: forward ? "forward" : "backward" };
    });
    const wrong = new Set(told.theirs?.wrong);
    this.mistakes = [...this.moments.keys()].filter((n) => wrong.has(this.moments[n].key));
    this.at = this.mistakes[0] ?? 0;
  }

  get changed() {
    return this.edits.size > 0 || this.without.size > 0;
  }

  /** Put another number for an entry of what is given, and compute all that follows. */
  edit(key, i, j, value) {
    this.put(key, i, j, value);
    if (this.isTarget(key)) this.addUp(key, i, j, value);
    this.compute();
  }

  /** Whether a column of what is given has to add up to 1: ŷ − y is the gradient only then. */
  isTarget(key) {
    return key.endsWith(":y") && this.told.three_ways.length > 0;
  }

  /** Whether a column of y is no target: its share in the loss is 0, whatever stands there. */
  isNoTarget(key, j) {
    if (!key.endsWith(":y")) return false;
    return this.given.get(key.replace(/y$/, "omega")).at(0, j) === 0;
  }

  /** Scale the rest of a target's column, so that it adds up to 1. */
  addUp(key, i, j, value) {
    const { n } = this.given.get(key);
    const others = Array.from({ length: n }, (_, k) => k).filter((k) => k !== i);
    const sum = others.reduce((total, k) => total + this.given.get(key).at(k, j), 0);
    for (const k of others) {
      const share = sum ? this.given.get(key).at(k, j) / sum : 1 / others.length;
      this.put(key, k, j, (1 - value) * share);
    }
  }

  put(key, i, j, value) {
    const id = `${key} ${i} ${j}`;
    const before = this.given.get(key).at(i, j);
    if (before === value) return;
    if (!this.edits.has(id)) this.edits.set(id, { key, i, j, before });
    if (this.edits.get(id).before === value) this.edits.delete(id);
    this.given.set(key, this.given.get(key).with(i, j, value));
  }

  /** Switch a contribution off, or on again. */
  toggle(name) {
    if (!this.without.delete(name)) this.without.add(name);
    this.compute();
  }

  /** Go back to the numbers that came. */
  reset() {
    this.refused = "";
    this.edits.clear();
    this.without.clear();
    this.given = new Map(this.original);
    this.compute();
  }

  compute() {
    if (!this.changed) {
      this.values = new Map([...this.original, ...this.alone(this.original)]);
      Object.assign(this, { proof: null, stale: false });
      return;
    }
    const begun = performance.now();
    const values = this.calculation.evaluate(this.given, { without: this.without });
    this.stale = performance.now() - begun > QUICK;
    this.values = this.stale ? values : new Map([...values, ...this.alone(this.given)]);
    this.proof = proved(this.calculation, this.values, this.told.gradients);
  }

  /** ∂loss⟨s⟩/∂ of the states, from the loss of each step s alone. */
  alone(given) {
    const found = new Map();
    if (!this.told.editable) return found;
    for (const s of this.told.steps) {
      const values = this.calculation.evaluate(given, { only: s, without: this.without });
      for (const state of this.told.states) {
        for (const t of this.told.steps) {
          found.set(`only ${s}/${t}:d${state}`, values.get(`${t}:d${state}`));
        }
      }
    }
    return found;
  }

  /** Softmax with cross-entropy alone, of one target: the equations of that study on its numbers. */
  ways(t, sequence) {
    const found = new Map();
    for (const name of ["z_y", "y"]) {
      const from = this.values.get(`${t}:${name}`);
      const column = Float64Array.from({ length: from.n }, (_, i) => from.at(i, sequence));
      found.set(name, new Matrix(from.n, 1, column));
    }
    const { n } = found.get("y");
    const ones = Float64Array.from({ length: n * n }, (_, k) => Number(k % (n + 1) === 0));
    found.set("identity", new Matrix(n, n, ones));
    for (const equation of this.told.three_ways) {
      found.set(equation.name, this.calculation.matrix(equation, null, found, false));
    }
    return new Map([...found].map(([name, matrix]) => [`ways:${name}`, matrix]));
  }

  /** How far a gradient is off without a contribution, relative to its largest entry. */
  off(name, right, wrong) {
    let [off, largest] = [0, 0];
    for (const [k, value] of right.get(name).data.entries()) {
      off = Math.max(off, Math.abs(value - wrong.get(name).data[k]));
      largest = Math.max(largest, Math.abs(value));
    }
    if (!Number.isFinite(off) || !Number.isFinite(largest)) return NaN;
    return largest ? off / largest : off ? Infinity : null;
  }
}
