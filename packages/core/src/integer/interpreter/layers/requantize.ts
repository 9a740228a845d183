import { intAttribute } from '../../../passes/index.ts'
import type { CodeArray } from '../codes.ts'
import { newCodes } from '../codes.ts'
import type { Kernels, SumJob } from '../kernels/kernels.ts'
import type { Requantize, SumSite } from '../scheme.ts'
import type { Result, Site } from './layer.ts'
import type { Prepared } from './weights.ts'

/** Takes sums to codes of the result, or to real values where nobody requantizes them. */
export interface Output {
  readonly make: (length: number) => CodeArray | Float32Array
  /** A sum without its bias. */
  readonly convert: Requantize
  /** The same as data, where sums stay in int32. */
  readonly rule: Pick<SumJob, 'rule' | 'min' | 'max'> | undefined
}

export function outputOf(site: Site, facts: Prepared, depthwise = false): Output | string {
  const { scheme, node, result } = site
  const sums: SumSite = {
    opType: node.opType,
    depthwise,
    grouped: !depthwise && intAttribute(node, 'group', 1) > 1,
    channels: facts.channels,
    input: facts.input,
    weightScales: facts.scales,
  }
  const requantize = result ? scheme.sums(sums, result.grid) : scheme.real?.(sums)
  if (!requantize) return 'its sums are not requantized, and this arithmetic has no kernel that hands over real values'
  if (typeof requantize === 'string') return requantize
  const biased = facts.wideBias ? withWideBias(requantize, facts, facts.wideBias) : withBias(requantize, facts)
  const { min, max } = result ?? { min: 0, max: 0 }
  const rule = requantize.rule && !facts.wideBias ? { rule: requantize.rule, min, max } : undefined
  if (!result) return { make: (length) => new Float32Array(length), convert: biased, rule }
  return { make: (length) => newCodes(result.grid.dtype, length), convert: clamped(biased, result), rule }
}

function withBias(requantize: Requantize, { bias, fractions }: Prepared): Requantize {
  if (!fractions) return (sum, c) => requantize((sum + (bias[c] as number)) | 0, c)
  const f = Math.fround
  return (sum, c) => requantize(f(f((sum + (bias[c] as number)) | 0) + (fractions[c] as number)), c)
}

function withWideBias(requantize: Requantize, { fractions }: Prepared, bias: Float64Array): Requantize {
  if (!fractions) return (sum, c) => requantize(sum + (bias[c] as number), c)
  const f = Math.fround
  return (sum, c) => requantize(f(f(sum + (bias[c] as number)) + (fractions[c] as number)), c)
}

export const clamped =
  (requantize: Requantize, { min, max }: Result): Requantize =>
  (sum, c) => {
    const code = requantize(sum, c)
    return code < min ? min : code > max ? max : code
  }

type Shape = Pick<SumJob, 'codes' | 'samples' | 'group' | 'inputs' | 'window' | 'out' | 'channelsLast'>

interface Sums {
  readonly facts: Prepared
  readonly output: Output
  /** Neighbouring products are added in 16 bits that saturate. */
  readonly saturates: boolean
}

/** Runs a layer in kernels that do all of it. @returns false where none do. */
export function runAtOnce(shape: Shape, { facts, output, saturates }: Sums, kernels: Kernels): boolean {
  if (!kernels.sums || !output.rule) return false
  const { weights, terms, stride, channels, bias, fractions, shift, input } = facts
  const order = saturates ? facts.order : undefined
  const weighted = { weights, terms, stride, channels, bias, fractions, shift, fill: input.zeroPoint, order }
  return kernels.sums({ ...shape, ...weighted, ...output.rule })
}
