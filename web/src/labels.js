// What quantities are called: on the page, in links and in the legend's symbols.

let symbols = {};

/** Learn the legend's symbols, by code name. */
export function learn(told) {
  symbols = told;
}

/** t=3:dz_a, or dW_aa: as in a link and on the command line. */
export const labelOf = (name, t) => (t === null ? name : `t=${t}:${name}`);

/** dz_a⟨3⟩, or dW_aa. */
export const symbolOf = (name, t) => (t === null ? symbols[name] ?? name : `${symbols[name] ?? name}⟨${t}⟩`);
