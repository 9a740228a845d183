export interface Moments {
  readonly mean: number
  readonly std: number
}

/** Density of the standard normal distribution. */
const density = (x: number): number => Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI)

/**
 * Mean and standard deviation of min(max(x, lo), hi) for normal x: Relu with lo = 0, Relu6 with hi = 6 as well; either end may be infinite
 * (Nagel 2019, arXiv:1906.04721, appendix C, equations 38 to 46). With α and β the ends in standard deviations from the mean, Z the share of x
 * between them, and φ the density,
 *
 *     E[x; inside] = μ·Z + σ·(φ(α) − φ(β))        E[x²; inside] = (μ² + σ²)·Z + 2μσ·(φ(α) − φ(β)) + σ²·(α·φ(α) − β·φ(β))
 *
 * and each end adds its value times the share of x beyond it.
 */
export function clippedNormal({ mean, std }: Moments, lo: number, hi: number): Moments {
  if (std === 0) return { mean: Math.min(Math.max(mean, lo), hi), std: 0 }
  // Squares of small deviations about a large mean would cancel: everything is in deviations from the mean.
  const [a, b] = [(lo - mean) / std, (hi - mean) / std]
  const [below, above] = [cumulative(a), cumulative(-b)]
  const [da, db] = [Number.isFinite(a) ? density(a) : 0, Number.isFinite(b) ? density(b) : 0]
  const [ada, bdb] = [Number.isFinite(a) ? a * da : 0, Number.isFinite(b) ? b * db : 0]
  const at = (end: number, share: number, power: number): number => (share === 0 ? 0 : end ** power * share)
  const first = da - db + at(a, below, 1) + at(b, above, 1)
  const second = 1 - below - above + ada - bdb + at(a, below, 2) + at(b, above, 2)
  return { mean: mean + std * first, std: std * Math.sqrt(Math.max(0, second - first * first)) }
}

/**
 * Share of the standard normal distribution below x. By its power series near zero and by a continued fraction in the tails (Abramowitz
 * and Stegun, 26.2.11 and 26.2.14), to about 1e-13.
 */
export function cumulative(x: number): number {
  if (x === Number.POSITIVE_INFINITY) return 1
  if (x === Number.NEGATIVE_INFINITY) return 0
  if (Math.abs(x) > 5) {
    let fraction = 0
    for (let k = 60; k > 0; k--) fraction = k / (Math.abs(x) + fraction)
    const tail = density(x) / (Math.abs(x) + fraction)
    return x > 0 ? 1 - tail : tail
  }
  let term = x
  let sum = x
  for (let k = 1; Math.abs(term) > 1e-17; k++) {
    term *= (x * x) / (2 * k + 1)
    sum += term
  }
  return 0.5 + density(x) * sum
}
