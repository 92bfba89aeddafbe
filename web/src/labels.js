// What quantities are called: on the page, in links and in the legend's symbols.

let symbols = {};

/** Learn the legend's symbols, by code name. */
export function learn(told) {
  symbols = told;
}

/** t=3:dz_a, or dW_aa: as in a link and on the command line. */
export const labelOf = (name, t) => (t === null ? name : `t=${t}:${name}`);

/** The name and the step of a key: "3:dz_a" is dz_a at step 3; what is no step's has null. */
export function split(key) {
  const [t, name] = key.includes(":") ? key.split(":") : [null, key];
  return [name, t === null ? null : Number(t)];
}

/** What a key stands for: dz_a⟨3⟩, dW_aa, ∂loss⟨4⟩/∂a⟨1⟩, or of the study of the softmax its name. */
export function placeOf(key) {
  const only = key.match(/^only (\d+)\/(\d+):d(.*)$/);
  if (only) return `∂loss⟨${only[1]}⟩/∂${symbolOf(only[3], Number(only[2]))}`;
  return key.startsWith("ways:") ? symbolOf(key.slice(5), null) : symbolOf(...split(key));
}

/** dz_a⟨3⟩, or dW_aa. */
export const symbolOf = (name, t) => (t === null ? symbols[name] ?? name : `${symbols[name] ?? name}⟨${t}⟩`);
