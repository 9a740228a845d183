/**
 * The lower Cholesky factor of a symmetric matrix [n, n], row-major, in place of its lower triangle.
 * @returns false if the matrix is not positive definite.
 */
export function cholesky(a: Float64Array, n: number): boolean {
  for (let i = 0; i < n; i++) {
    const row = i * n
    for (let j = 0; j <= i; j++) {
      const other = j * n
      let sum = a[row + j] as number
      for (let k = 0; k < j; k++) sum -= (a[row + k] as number) * (a[other + k] as number)
      if (j < i) a[row + j] = sum / (a[other + j] as number)
      else if (sum > 0) a[row + i] = Math.sqrt(sum)
      else return false
    }
  }
  return true
}

/** Solves L Lᵀ x = b in place. */
export function solveCholesky(l: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) {
    let sum = b[i] as number
    for (let k = 0; k < i; k++) sum -= (l[i * n + k] as number) * (b[k] as number)
    b[i] = sum / (l[i * n + i] as number)
  }
  for (let i = n - 1; i >= 0; i--) {
    const x = (b[i] as number) / (l[i * n + i] as number)
    b[i] = x
    for (let k = 0; k < i; k++) b[k] = (b[k] as number) - (l[i * n + k] as number) * x
  }
}

/**
 * A copy with `share` of the mean diagonal added to the diagonal, and 1 where it is zero: inputs that never move have no
 * error, whatever their weight.
 */
export function damped(gram: Float64Array, n: number, share: number): Float64Array {
  const copy = gram.slice()
  let trace = 0
  for (let i = 0; i < n; i++) trace += gram[i * n + i] as number
  const added = trace > 0 ? (share * trace) / n : 1
  for (let i = 0; i < n; i++) copy[i * n + i] = (copy[i * n + i] as number) + added
  return copy
}
