// The proof after a change: each gradient against central differences of the loss, by the same equations.

const STEP = 1e-5;
const TOLERANCE = 1e-5; // relative to the largest entry; what central differences are good for
const MILLISECONDS = 1500; // for all of it, as far as one entry of each gradient allows

/** Return for each gradient how many entries were checked, how far it is off, and a verdict. */
export function proved(calculation, values, gradients) {
  const most = affordable(calculation, values, gradients.length);
  return gradients.map((name) => {
    const found = compared(calculation, values, name, most);
    const off = found.largest ? found.off / found.largest : 0;
    return { name, checked: found.checked, off, verdict: verdict(found) };
  });
}

/** How many entries of each gradient there is time for. */
function affordable(calculation, values, count) {
  const begun = performance.now();
  calculation.evaluate(values, { forward: true });
  const cost = 2 * Math.max(0.05, performance.now() - begun);
  return Math.max(1, Math.floor(MILLISECONDS / cost / count));
}

/** How far a gradient's entries are off at most, how large slopes and what is claimed are, how many lie on kinks. */
function compared(calculation, values, name, most) {
  const given = values.get(name.slice(1));
  const loss = values.get("loss").at(0, 0);
  const found = { off: 0, largest: 0, claimed: 0, checked: 0, kinks: 0, noise: (1e-15 * Math.abs(loss)) / STEP };
  for (const [i, j] of chosen(values.get(name), most)) {
    const lossAt = at(calculation, values, name.slice(1), given, i, j);
    const slope = central(lossAt, given.at(i, j));
    const claimed = values.get(name).at(i, j);
    const size = Math.max(Math.abs(slope), Math.abs(claimed));
    if (!(Math.abs(slope - claimed) <= TOLERANCE * size) && onKink(lossAt, given.at(i, j), loss, claimed)) {
      found.kinks += 1;
      continue;
    }
    found.checked += 1;
    found.off = Math.max(found.off, Math.abs(slope - claimed)); // NaN stays NaN
    found.largest = Math.max(found.largest, size);
    found.claimed = Math.max(found.claimed, Math.abs(claimed));
  }
  return found;
}

function verdict({ off, largest, claimed, checked, kinks, noise }) {
  if (!checked) return "not testable: on a kink";
  const rest = kinks ? `; ${kinks} on a kink` : "";
  if (Number.isNaN(off)) return "not a number";
  if (largest <= 2 * noise) return (claimed ? "not testable: too small" : "0 both ways") + rest;
  return (off <= TOLERANCE * largest + noise ? "right" : "wrong") + rest;
}

/** The entries to check: all, or the largest where there is no time for all. */
function chosen(gradient, most) {
  const all = [];
  for (let i = 0; i < gradient.n; i++) for (let j = 0; j < gradient.m; j++) all.push([i, j]);
  const size = ([i, j]) => Math.abs(gradient.at(i, j));
  return all.sort((a, b) => size(b) - size(a)).slice(0, most);
}

/** The loss as a function of one entry of what is given. */
function at(calculation, values, key, given, i, j) {
  return (value) => {
    const changed = new Map(values).set(key, given.with(i, j, value));
    return calculation.evaluate(changed, { forward: true }).get("loss").at(0, 0);
  };
}

function central(lossAt, value) {
  const h = STEP * Math.max(1, Math.abs(value));
  return (lossAt(value + h) - lossAt(value - h)) / (2 * h);
}

/**
 * Whether the loss has two slopes here, one to each side, and the gradient is one of them or between: at a kink
 * of relu neither is wrong, and central differences say nothing.
 */
function onKink(lossAt, value, loss, claimed) {
  const h = (STEP / 100) * Math.max(1, Math.abs(value));
  const slopes = [(lossAt(value + h) - loss) / h, (loss - lossAt(value - h)) / h];
  const [low, high] = [Math.min(...slopes), Math.max(...slopes)];
  const size = Math.max(...slopes.map(Math.abs));
  const noise = (1e-14 * Math.abs(loss)) / h;
  return high - low > 0.01 * size + noise && low - 0.01 * size - noise <= claimed && claimed <= high + 0.01 * size + noise;
}
