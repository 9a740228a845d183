import { type Difference, differenceOf, isWithin } from '../../analysis/index.ts'
import type { Tensor } from '../../ir/index.ts'
import { figure } from '../../util/index.ts'
import { isBiased, isCutOff, isOnBorder, isScaled, perChannel } from './patterns.ts'
import type { KnownCause, Suspect } from './suspect.ts'

const SUMS = new Set(['Conv', 'MatMul', 'Gemm', 'ConvTranspose'])

/** The largest sum of two products of an unsigned code and two neighbouring weights that 16 bits hold: 255 · 128 and a little. */
const PAIR_LIMIT = 128

const int16Saturation: KnownCause = {
  name: 'int16-saturation',
  async explain(suspect) {
    const { part, point, difference } = suspect
    if (!SUMS.has(point.node.opType) || difference.unit !== 'step' || difference.beyond === 0) return undefined
    if (!hasLargePairs(part)) return undefined
    const who = await saturating(suspect).catch(() => nearerToZero(suspect))
    if (who === undefined) return undefined
    return `products of pairs saturate in 16 bits on ${who}: weights of 7 bits (the target's reduced range) avoid it`
  },
}

/** Who gives the codes of sums whose pairs saturate, or nearer to zero than the exact ones, where the other one gives the exact ones. */
async function saturating(suspect: Suspect): Promise<Side | undefined> {
  const { reference, candidate, step, inIntegers } = suspect
  const [exact, pairs] = [await inIntegers('ort'), await inIntegers('ort-pairs')]
  const isLike = (a: Tensor, b: Tensor) => isWithin(differenceOf(a, b, step))
  if (isLike(exact, pairs)) return undefined
  const suspected = isLike(reference, exact) ? 'this engine' : isLike(candidate, exact) ? 'the reference' : undefined
  if (isLike(suspected === 'this engine' ? candidate : reference, pairs)) return suspected
  return nearerToZero(suspect) === suspected ? suspected : undefined
}

type Side = 'this engine' | 'the reference'

/** Kernels that pair other products than neighbours still make sums smaller, as long as few signs are mixed. */
function nearerToZero({ reference, candidate }: Suspect): Side | undefined {
  const [r, c] = [reference.numbers(), candidate.numbers()]
  let [smaller, larger] = [0, 0]
  r.forEach((x, i) => {
    if (Math.abs(c[i] as number) < Math.abs(x)) smaller++
    if (Math.abs(c[i] as number) > Math.abs(x)) larger++
  })
  if (Math.min(smaller, larger) > 0.05 * (smaller + larger)) return undefined
  return smaller > larger ? 'this engine' : 'the reference'
}

/** Neighbouring int8 weights, along which products are added in pairs, whose magnitudes can leave 16 bits. */
function hasLargePairs({ graph }: Suspect['part']): boolean {
  return [...graph.initializers].some(({ constant }) => {
    if (constant?.dtype !== 'int8' || constant.dims.length < 2) return false
    const codes = constant.numbers()
    for (let i = 1; i < codes.length; i++) {
      if (Math.abs(codes[i - 1] as number) + Math.abs(codes[i] as number) > PAIR_LIMIT) return true
    }
    return false
  })
}

const missingClip: KnownCause = {
  name: 'missing-clip',
  explain: (suspect) => {
    const bound = isCutOff(suspect)
    return bound === undefined
      ? undefined
      : `the reference cuts values off at ${figure(bound)}, and this does not: an activation or a bound is missing, or at another place`
  },
}

const padding: KnownCause = {
  name: 'padding',
  explain: (suspect) => (isOnBorder(suspect) ? 'only the border differs: pads are other ones' : undefined),
}

const zeroPoint: KnownCause = {
  name: 'zero-point',
  explain(suspect) {
    const offset = isBiased(suspect, 'whole')
    if (offset === undefined) return undefined
    const steps = suspect.step ? ` (${figure(offset / suspect.step)} steps)` : ''
    return `everything is off by ${figure(offset)}${steps}: a zero point is another one`
  },
}

const bias: KnownCause = {
  name: 'bias',
  explain: (suspect) =>
    isBiased(suspect, 'whole') === undefined && isBiased(suspect, 'channel') !== undefined
      ? 'each channel is off by a constant: the bias is another one'
      : undefined,
}

const scale: KnownCause = {
  name: 'scale',
  explain(suspect) {
    const factor = isScaled(suspect)
    return factor === undefined
      ? undefined
      : `everything is ${figure(factor)} times the reference: a scale is another one`
  },
}

const channelScales: KnownCause = {
  name: 'channel-scales',
  explain: (suspect) =>
    isScaled(suspect) === undefined && perChannel(suspect)
      ? 'channels differ by factors: scales belong to other channels, or to another axis'
      : undefined,
}

const fusedRounding: KnownCause = {
  name: 'fused-rounding',
  unless: ['int16-saturation'],
  async explain({ rerun, reference, candidate, step }) {
    const isSame = (a: typeof reference, b: typeof reference): boolean =>
      isWithin(differenceOf(a, b, step), { share: 0 })
    const unfused = await rerun('candidate', 'simulate')
    if (isSame(reference, unfused) && !isSame(candidate, unfused))
      return 'it vanishes where this engine does not fuse quantizers: the fused kernel rounds, or computes, in its own way'
    const plain = await rerun('reference', 'simulate')
    if (isSame(plain, candidate) && !isSame(plain, reference))
      return "it vanishes where the reference does not fuse quantizers: the reference's fused kernel rounds, or computes, in its own way"
    return undefined
  },
}

const rounding: KnownCause = {
  name: 'rounding',
  explain({ difference, reference, candidate }) {
    if (difference.unit !== 'step' || difference.beyond > 0 || difference.differing === 0) return undefined
    const [r, c] = [reference.numbers(), candidate.numbers()]
    let [up, down] = [0, 0]
    r.forEach((x, i) => {
      if ((c[i] as number) > x) up++
      if ((c[i] as number) < x) down++
    })
    if (down === 0 || up === 0)
      return `codes differ by one step, always ${down === 0 ? 'up' : 'down'}: ties, or all values, are rounded to another side`
    return 'codes differ by one step to both sides: sums are rounded in between, or kept in less than float32'
  },
}

/** Errors of float16 and bfloat16, whose units are 2^-11 and 2^-8, in sums whose peak is a few times their terms. */
const HALF_PRECISION = { least: 2e-5, most: 2e-2 }

const reducedPrecision: KnownCause = {
  name: 'reduced-precision',
  async explain(suspect) {
    const { point } = suspect
    if (!SUMS.has(point.node.opType)) return undefined
    const { worst, differing, elements } = await differenceOfSums(suspect)
    if (worst < HALF_PRECISION.least || worst > HALF_PRECISION.most || differing < elements / 4) return undefined
    return `errors up to ${figure(worst)} of the peak in most sums: they are kept in float16, bfloat16 or TF32`
  },
}

/** Of codes, of what was there before they were rounded. */
async function differenceOfSums({ difference, unquantized }: Suspect): Promise<Difference> {
  if (difference.unit === 'peak') return difference
  return differenceOf(await unquantized('reference'), await unquantized('candidate'))
}

/** In the order in which they are looked for: the first that fits is named first. */
export const KNOWN_CAUSES: readonly KnownCause[] = [
  missingClip,
  zeroPoint,
  scale,
  bias,
  channelScales,
  padding,
  int16Saturation,
  fusedRounding,
  rounding,
  reducedPrecision,
]

/** The known causes that fit. A part that another optimization cannot run says nothing. */
export async function explain(suspect: Suspect): Promise<{ name: string; text: string }[]> {
  const found: { name: string; text: string }[] = []
  for (const { name, unless, explain: sentence } of KNOWN_CAUSES) {
    if (found.some((other) => unless?.includes(other.name))) continue
    const text = await Promise.resolve(sentence(suspect)).catch(() => undefined)
    if (text !== undefined) found.push({ name, text })
  }
  return found
}
