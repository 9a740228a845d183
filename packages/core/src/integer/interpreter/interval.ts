import type { SumFacts } from './layers/layer.ts'

type Summands = Pick<SumFacts, 'weights' | 'terms' | 'stride' | 'channels' | 'input' | 'plainBias'>

/** The interval of the sums of one layer. */
export interface Interval {
  readonly lowest: number
  readonly highest: number
}

export const leavesInt32 = ({ lowest, highest }: Interval): boolean => lowest < -(2 ** 31) || highest >= 2 ** 31

/** Over all channels; sums of raw codes and the folded bias are those of centred codes and the bias, modulo 2^32. */
export function intervalOf({ weights, terms, stride, channels, input, plainBias }: Summands): Interval {
  const [low, high] = [input.min - input.zeroPoint, input.max - input.zeroPoint]
  let [lowest, highest] = [0, 0]
  for (let c = 0; c < channels; c++) {
    let [positive, negative] = [0, 0]
    for (let k = 0; k < terms; k++) {
      const w = weights[c * stride + k] as number
      if (w > 0) positive += w
      else negative += w
    }
    const bias = plainBias[c] as number
    lowest = Math.min(lowest, bias + low * positive + high * negative)
    highest = Math.max(highest, bias + high * positive + low * negative)
  }
  return { lowest, highest }
}
