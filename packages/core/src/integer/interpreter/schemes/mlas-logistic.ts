const f = Math.fround

const ALPHA = [
  4.37031012579801e-11, 1.15627324459942e-7, 6.08574864600143e-5, 8.51377133304701e-3, 2.48287947061529e-1,
].map(f)
const BETA = [
  ...[6.10247389755681e-13, 5.76102136993427e-9, 6.2910678501704e-6, 1.70198817374094e-3],
  ...[1.16817656904453e-1, 9.9315192102318e-1],
].map(f)

/** A polynomial in fused multiply-adds, highest power first. */
const polynomial = (coefficients: readonly number[], x: number): number =>
  coefficients.reduce((sum, coefficient) => f(sum * x + coefficient))

/** The logistic function as MLAS's kernels with fused multiply-adds compute it: a quotient of polynomials of x² (`logistic.cpp`). */
export function logistic(x: number): number {
  const v = f(Math.max(-18, Math.min(18, x)))
  const square = f(v * v)
  const ratio = f(f(polynomial(ALPHA, square) * v) / polynomial(BETA, square))
  return Math.max(0, Math.min(1, f(ratio + 0.5)))
}
