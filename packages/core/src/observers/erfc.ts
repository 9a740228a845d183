/** Coefficients of the continued fraction's start that keep it exact to double precision from 2 on. */
const DEPTH = 60

/** Complementary error function for x ≥ 0, to 1e-13 relative: series below 2, continued fraction above (DLMF 7.6.1, 7.9.1). */
export function erfc(x: number): number {
  return x < 2 ? 1 - erfSeries(x) : (Math.exp(-x * x) / Math.sqrt(Math.PI)) * fraction(x)
}

function erfSeries(x: number): number {
  let [term, sum] = [x, x]
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

/** 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + …)))) */
function fraction(x: number): number {
  let tail = x
  for (let k = DEPTH; k >= 1; k--) tail = x + k / 2 / tail
  return 1 / tail
}
