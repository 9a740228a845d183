import type { Parameter } from './layer.ts'

/** Adam (Kingma and Ba 2015, arXiv:1412.6980) with its usual decay rates. */
export function adam(parameters: readonly Parameter[]): (rate: number) => void {
  const state = parameters.map(({ values }) => ({
    mean: new Float64Array(values.length),
    square: new Float64Array(values.length),
  }))
  let step = 0
  return (rate) => {
    step++
    const [fixMean, fixSquare] = [1 - 0.9 ** step, 1 - 0.999 ** step]
    parameters.forEach(({ values, gradient }, k) => {
      const { mean, square } = state[k]!
      for (let i = 0; i < values.length; i++) {
        const g = gradient[i]!
        mean[i] = 0.9 * mean[i]! + 0.1 * g
        square[i] = 0.999 * square[i]! + 0.001 * g * g
        values[i]! -= (rate * (mean[i]! / fixMean)) / (Math.sqrt(square[i]! / fixSquare) + 1e-8)
      }
    })
  }
}

/** Mean cross-entropy of a batch of scores, and its gradient. */
export function crossEntropy(scores: Float64Array, labels: readonly number[], classes: number) {
  const gradient = new Float64Array(scores.length)
  let loss = 0
  labels.forEach((label, n) => {
    const row = scores.subarray(n * classes, (n + 1) * classes)
    const largest = Math.max(...row)
    const total = row.reduce((sum, s) => sum + Math.exp(s - largest), 0)
    for (let c = 0; c < classes; c++) {
      gradient[n * classes + c] = (Math.exp(row[c]! - largest) / total - (c === label ? 1 : 0)) / labels.length
    }
    loss += (Math.log(total) + largest - row[label]!) / labels.length
  })
  return { loss, gradient }
}
