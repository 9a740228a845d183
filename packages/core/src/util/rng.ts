/** Seeded random numbers (mulberry32: 32 bits of state, period 2^32). Nothing in fewbit may use any other source. */
export interface Rng {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, n). */
  int(n: number): number
  /** Standard normal, by the Box-Muller transform. */
  normal(): number
  /** Fisher-Yates, in place; returns its argument. */
  shuffle<T>(items: T[]): T[]
}

export function rng(seed: number): Rng {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const int = (n: number): number => Math.floor(next() * n)
  return {
    next,
    int,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = int(i + 1)
        const a = items[i] as (typeof items)[number]
        items[i] = items[j] as (typeof items)[number]
        items[j] = a
      }
      return items
    },
  }
}

/**
 * One seed out of several numbers (MurmurHash3's mixing): what belongs to (seed, epoch, index) can be drawn without drawing what comes
 * before.
 */
export function mixSeed(...parts: readonly number[]): number {
  let hash = parts.length
  for (const part of parts) {
    const scrambled = Math.imul(rotate(Math.imul(part, 0xcc9e2d51), 15), 0x1b873593)
    hash = Math.imul(rotate(hash ^ scrambled, 13), 5) + 0xe6546b64
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))
