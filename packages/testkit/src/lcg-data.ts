/**
 * The deterministic data of the published observer oracles: a linear congruential generator (Numerical Recipes' constants) whose
 * twelve-fold sums are nearly normal. Any language reproduces it bit for bit.
 */
function lcg(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0
    return state / 4294967296
  }
}

/** Irwin-Hall approximation of the normal distribution: mean 0, standard deviation 1, within ±6. */
function normals(seed: number, count: number, shape: (g: number) => number): Float32Array {
  const uniform = lcg(seed)
  return Float32Array.from({ length: count }, () => {
    let sum = 0
    for (let i = 0; i < 12; i++) sum += uniform()
    return shape(sum - 6)
  })
}

export const gauss = (seed: number, count = 65536): Float32Array => normals(seed, count, (g) => g)

/** Cubes of normals: most values near zero, a few far out. */
export const heavyTailed = (seed: number, count = 65536): Float32Array => normals(seed, count, (g) => g * g * g)

/** What a ReLU leaves: half of the values are exactly zero. */
export const rectified = (seed: number, count = 65536): Float32Array => normals(seed, count, (g) => Math.max(g, 0))
