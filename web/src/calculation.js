// The recorded table on numbers. The equations come as data, each for one entry (i, j) of its left side;
// they are evaluated here only once something on the page was changed.

const OPERATIONS = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  negative: (a) => -a,
  square: (a) => a * a,
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  tanh: Math.tanh,
  where: (condition, value, other) => (condition ? value : other),
  less: (a, b) => a < b,
  at_most: (a, b) => a <= b,
};

/** The key of a quantity at a step: "3:dz_a", or its name alone where it is no step's. */
export const keyOf = (name, t) => (t === null || t === undefined ? name : `${t}:${name}`);

/** A matrix (n, m) of numbers; where only some of its rows and columns came, they are listed. */
export class Matrix {
  constructor(n, m, data, rows = null, columns = null) {
    Object.assign(this, { n, m, data, rows, columns });
  }

  static zeros(n, m) {
    return new Matrix(n, m, new Float64Array(n * m));
  }

  /** The number in row i and column j; undefined if it did not come. */
  at(i, j) {
    if (!this.rows) return this.data[i * this.m + j];
    const [r, c] = [this.rows.indexOf(i), this.columns.indexOf(j)];
    return r < 0 || c < 0 ? undefined : this.data[r * this.columns.length + c];
  }

  with(i, j, value) {
    const data = this.data.slice();
    data[i * this.m + j] = value;
    return new Matrix(this.n, this.m, data);
  }
}

/** Unpack what Python sent: a map from key to matrix. */
export function unpacked(told) {
  const bytes = Uint8Array.from(atob(told.numbers), (c) => c.charCodeAt(0));
  const all = new Float64Array(bytes.buffer);
  const found = new Map();
  for (const [key, [n, m], start, rows, columns] of told.arrays) {
    const size = rows ? rows.length * columns.length : n * m;
    found.set(key, new Matrix(n, m, all.subarray(start, start + size), rows, columns));
  }
  return found;
}

export class Calculation {
  constructor(told) {
    this.told = told;
    this.T = told.sizes.T;
    this.given = unpacked(told);
  }

  size(axis) {
    return axis === 1 ? 1 : this.told.sizes[axis];
  }

  /** Where an entry of an equation of step t stands: its key; null for what is 0 behind the last step. */
  placed(name, step, t) {
    if (step === "") return name;
    if (step === "0") return keyOf(name, 0);
    if (step === "t-1") return t > 0 ? keyOf(name, t - 1) : `${name}0`;
    if (step === "t+1") return t + 1 < this.T ? keyOf(name, t + 1) : null;
    return keyOf(name, t);
  }

  /**
   * Every number of the calculation, from what is given in `values`. `without` names what is left out of
   * the way back; `only` a step whose loss alone counts; `forward` stops at the loss.
   */
  evaluate(values, { without = new Set(), only = null, forward = false } = {}) {
    const found = new Map(values);
    if (only !== null) {
      for (let t = 0; t < this.T; t++) {
        if (t !== only) found.set(keyOf("omega", t), Matrix.zeros(1, this.told.sizes.m));
      }
    }
    for (const [index, t] of this.told.order) {
      const equation = this.told.equations[index];
      const key = keyOf(equation.name, t);
      found.set(key, this.matrix(equation, t, found, without.has(equation.name)));
      if (forward && key === "loss") break;
    }
    return found;
  }

  matrix(equation, t, values, zero) {
    const [n, m] = (equation.shape ?? this.shape(equation.name)).map((axis) => this.size(axis));
    const result = Matrix.zeros(n, m);
    if (zero) return result;
    const at = { zero: 0 };
    const entry = this.bound(equation.entry, t, values, at);
    for (at.i = 0; at.i < n; at.i++) {
      for (at.j = 0; at.j < m; at.j++) result.data[at.i * m + at.j] = entry();
    }
    return result;
  }

  shape(name) {
    const { shapes } = this.told;
    return shapes[name] ?? shapes[`${name.replace(/0$/, "")}_prev`] ?? [1, 1];
  }

  /** A function that computes an entry for the indices that stand in `at`. */
  bound(tree, t, values, at) {
    const [operation, ...rest] = tree;
    if (operation === "number") return () => rest[0];
    if (operation === "entry") return this.boundEntry(rest, t, values, at);
    if (operation === "sum" || operation === "largest") return this.boundOver(tree, t, values, at);
    if (operation === "call") return this.bound(rest.at(-1), t, values, at);
    const [a, b, c] = rest.map((operand) => this.bound(operand, t, values, at));
    const run = OPERATIONS[operation];
    if (c) return () => run(a(), b(), c());
    return b ? () => run(a(), b()) : () => run(a());
  }

  boundEntry([name, row, column, step], t, values, at) {
    const key = this.placed(name, step, t);
    if (key === null) return () => 0;
    const matrix = values.get(key);
    if (!matrix) return () => undefined; // of a step that is not shown
    const { data, m } = matrix;
    const [i, j] = [row, column].map((index) => (index === 0 ? "zero" : index));
    if (matrix.rows) return () => matrix.at(at[i], at[j]);
    return () => data[at[i] * m + at[j]];
  }

  boundOver([operation, index, axis, body], t, values, at) {
    if (axis === "T") {
      const terms = Array.from({ length: this.T }, (_, s) => this.bound(body, s, values, at));
      return () => terms.reduce((total, term) => total + term(), 0);
    }
    const products = operation === "sum" && this.boundProducts(index, axis, body, t, values, at);
    if (products) return products;
    const [size, term] = [this.size(axis), this.bound(body, t, values, at)];
    const largest = operation === "largest";
    return () => {
      let result = largest ? -Infinity : 0;
      for (at[index] = 0; at[index] < size; at[index]++) {
        result = largest ? Math.max(result, term()) : result + term();
      }
      return result;
    };
  }
  /** A sum of products of two entries, as in a product of matrices, without a call for each of them. */
  boundProducts(index, axis, [operation, left, right], t, values, at) {
    if (operation !== "multiply" || left[0] !== "entry" || right[0] !== "entry") return null;
    const walks = [left, right].map(([, name, row, column, step]) => {
      const matrix = values.get(this.placed(name, step, t) ?? "");
      if (!matrix || matrix.rows) return null;
      const [i, j] = [row, column].map((each) => (each === 0 || each === index ? "zero" : each));
      const stride = (row === index ? matrix.m : 0) + (column === index ? 1 : 0);
      return { data: matrix.data, stride, start: () => at[i] * matrix.m + at[j] };
    });
    if (walks.includes(null)) return null;
    const [a, b] = walks;
    const size = this.size(axis);
    return () => {
      let [total, p, q] = [0, a.start(), b.start()];
      for (let k = 0; k < size; k++, p += a.stride, q += b.stride) total += a.data[p] * b.data[q];
      return total;
    };
  }
}
