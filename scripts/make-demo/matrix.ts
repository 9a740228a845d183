/**
 * Products of row-major matrices in double precision, which is what JavaScript computes in. Blocks of 4 × 4 results are
 * held in locals; rows and columns of the result are multiples of four.
 */

/** C[m, n] = A[m, k] · B[k, n]. */
export function multiply(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  const c = new Float64Array(m * n)
  const panel = new Float64Array(4 * k)
  for (let col = 0; col < n; col += 4) {
    for (let p = 0; p < k; p++) for (let j = 0; j < 4; j++) panel[4 * p + j] = b[p * n + col + j]!
    for (let row = 0; row < m; row += 4) rowsTimesPanel(a, panel, c, row, k, n, col)
  }
  return c
}

function rowsTimesPanel(
  a: Float64Array,
  panel: Float64Array,
  c: Float64Array,
  row: number,
  k: number,
  n: number,
  col: number,
): void {
  for (let i = row; i < row + 4; i += 2) {
    const first = i * k
    const out = i * n + col
    let c0 = 0
    let c1 = 0
    let c2 = 0
    let c3 = 0
    let d0 = 0
    let d1 = 0
    let d2 = 0
    let d3 = 0
    for (let p = 0, q = 0; p < k; p++, q += 4) {
      const x = a[first + p]!
      const y = a[first + k + p]!
      c0 += x * panel[q]!
      c1 += x * panel[q + 1]!
      c2 += x * panel[q + 2]!
      c3 += x * panel[q + 3]!
      d0 += y * panel[q]!
      d1 += y * panel[q + 1]!
      d2 += y * panel[q + 2]!
      d3 += y * panel[q + 3]!
    }
    c[out] = c0
    c[out + 1] = c1
    c[out + 2] = c2
    c[out + 3] = c3
    c[out + n] = d0
    c[out + n + 1] = d1
    c[out + n + 2] = d2
    c[out + n + 3] = d3
  }
}

/** C[k, n] = Aᵀ · B for A[m, k] and B[m, n]: the gradient of a weight. */
export function multiplyTransposed(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  const c = new Float64Array(k * n)
  for (let row = 0; row < m; row += 4) {
    const from = row * n
    for (let p = 0; p < k; p++) {
      const at = row * k + p
      const x0 = a[at]!
      const x1 = a[at + k]!
      const x2 = a[at + 2 * k]!
      const x3 = a[at + 3 * k]!
      const out = p * n
      for (let j = 0, q = from; j < n; j++, q++) {
        c[out + j]! += x0 * b[q]! + x1 * b[q + n]! + x2 * b[q + 2 * n]! + x3 * b[q + 3 * n]!
      }
    }
  }
  return c
}

export function transpose(a: Float64Array, rows: number, columns: number): Float64Array {
  const out = new Float64Array(a.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j]!
  return out
}
