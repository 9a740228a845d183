const WORD = new Float32Array(1)
const WORD_BITS = new Int32Array(WORD.buffer)

/** The smallest float32 number ≥ x; of 3.4e38 and more, infinity. */
export function float32AtLeast(x: number): number {
  const nearest = Math.fround(x)
  return nearest < x ? nextFloat32(nearest) : nearest
}

/** The smallest float32 number > x. */
export function float32Above(x: number): number {
  const least = float32AtLeast(x)
  return least > x ? least : nextFloat32(least)
}

/** Bit patterns of one sign are ordered like the numbers; negative ones backwards. */
function nextFloat32(x: number): number {
  if (x === 0) return 2 ** -149
  WORD[0] = x
  WORD_BITS[0] = (WORD_BITS[0] as number) + (x > 0 ? 1 : -1)
  return WORD[0]
}
