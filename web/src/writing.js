// Numbers as Python writes them: four digits, a true minus.

export function number(value, digits = 4) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const e = Number(exponent);
  const text =
    e < -4 || e >= digits ? `${Number(mantissa)}e${e}` : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−");
}
