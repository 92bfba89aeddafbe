// The proof after a change: each gradient against central differences of the loss, by the same equations.

const STEP = 1e-5;
const TOLERANCE = 1e-5; // relative to the largest entry; what central differences are good for
const MILLISECONDS = 1500; // for all of it, as far as one entry of each gradient allows

/** Return for each gradient how many entries were checked, how far it is off, and a verdict. */
export function proved(calculation, values, gradients) {
  const rows = [];
  const begun = performance.now();
  calculation.evaluate(values, { forward: true });
  const cost = 2 * Math.max(0.05, performance.now() - begun);
  const most = Math.max(1, Math.floor(MILLISECONDS / cost / gradients.length));
  for (const name of gradients) {
    const of = name.slice(1);
    const given = values.get(of);
    const entries = chosen(values.get(name), most);
    let [off, largest] = [0, 0];
    for (const [i, j] of entries) {
      const slope = difference(calculation, values, of, given, i, j);
      const claimed = values.get(name).at(i, j);
      off = Math.max(off, Math.abs(slope - claimed));
      largest = Math.max(largest, Math.abs(slope), Math.abs(claimed));
      if (Number.isNaN(slope - claimed)) off = NaN;
    }
    const noise = (1e-15 * Math.abs(values.get("loss").at(0, 0))) / STEP;
    rows.push({ name, checked: entries.length, off: largest ? off / largest : 0, verdict: verdict(off, largest, noise) });
  }
  return rows;
}

function verdict(off, largest, noise) {
  if (Number.isNaN(off)) return "not a number";
  if (largest <= 2 * noise) return "0 both ways";
  return off <= TOLERANCE * largest + noise ? "right" : "wrong";
}

/** The entries to check: all, or the largest where there is no time for all. */
function chosen(gradient, most) {
  const all = [];
  for (let i = 0; i < gradient.n; i++) for (let j = 0; j < gradient.m; j++) all.push([i, j]);
  const size = ([i, j]) => Math.abs(gradient.at(i, j));
  return all.sort((a, b) => size(b) - size(a)).slice(0, most);
}

function difference(calculation, values, key, given, i, j) {
  const at = given.at(i, j);
  const h = STEP * Math.max(1, Math.abs(at));
  const [above, below] = [at + h, at - h].map((value) => {
    const changed = new Map(values).set(key, given.with(i, j, value));
    return calculation.evaluate(changed, { forward: true }).get("loss").at(0, 0);
  });
  return (above - below) / (2 * h);
}
