import type { Tensor, Value } from '../ir/index.ts'
import { type Diagnostics, invariant, must } from '../util/index.ts'
import { paramCount } from './granularity.ts'
import type { QuantPlan, TensorPlan } from './plan.ts'
import { powerOfTwo } from './power-of-two.ts'
import type { QuantParams } from './spec.ts'

/**
 * A bias is added to the int32 accumulator, so that its scale is scale(input) · scale(weight) and no choice. Kernels take the
 * codes and never look at the stored scale; it is rounded to float32 for those that compute in float.
 */
export function biasParams(
  bias: TensorPlan,
  values: ReadonlyMap<string, Value>,
  params: ReadonlyMap<string, QuantParams>,
): QuantParams {
  const { input, weight } = operands(bias, params)
  const inputScale = must(input.scale[0], 'scale of the input')
  const count = paramCount(dataOf(bias, values).dims, bias.spec.granularity)
  const scale = Array.from({ length: count }, (_, c) => Math.fround(inputScale * weightScale(weight, c)))
  return { spec: bias.spec, scale, zeroPoint: scale.map(() => 0) }
}

/**
 * Raises the weight scale of channels whose bias would leave int32.
 *
 * |b| / (s_x · s_w) nears 2^31 only where the weights are next to nothing beside the bias, so that the weights can give way:
 * on the coarser grid each errs by at most s_w / 2, K of them against 8-bit inputs by K · 2^8 · s_x · s_w / 2, and that is
 * K · 2^-24 of the bias. The kernel stays an integer one.
 */
export function raiseForBias(
  bias: TensorPlan,
  plan: QuantPlan,
  values: ReadonlyMap<string, Value>,
  params: Map<string, QuantParams>,
  diagnostics: Diagnostics,
): void {
  const { input, weight, weightGroup } = operands(bias, params)
  const inputScale = must(input.scale[0], 'scale of the input')
  const reach = accumulatorReach(input, weight, weightData(plan, weightGroup, values))
  const limit = Math.min(bias.spec.quantMax, 2 ** 31 - 1 - reach)
  const scale = [...weight.scale]
  dataOf(bias, values)
    .numbers()
    .forEach((b, c) => {
      const at = c % scale.length
      // Half a unit in the last place up, so that the rounded product does not fall below the limit again.
      const needed = (Math.abs(b) / (limit * inputScale)) * (1 + 2 ** -22)
      if (needed > (scale[at] as number))
        scale[at] = weight.spec.powerOfTwo ? powerOfTwo(needed, 'ceil') : Math.fround(needed)
    })
  const raised = scale.filter((s, i) => s !== weight.scale[i]).length
  if (raised === 0) return
  params.set(weightGroup, { ...weight, scale })
  const text = `the bias "${bias.value}" exceeds ${bias.spec.bits} bits in ${raised} of ${scale.length} scales, so that the weight scales were raised`
  diagnostics.info('BIAS_RANGE', text, {
    at: { value: bias.value, ...(bias.readers[0] ? { node: bias.readers[0] } : {}) },
  })
}

function operands(bias: TensorPlan, params: ReadonlyMap<string, QuantParams>) {
  const { source } = bias
  invariant(source.kind === 'bias', () => `"${bias.value}" has no operands`)
  return {
    input: must(params.get(source.input), `parameters of "${source.input}"`),
    weight: must(params.get(source.weight), `parameters of "${source.weight}"`),
    weightGroup: source.weight,
  }
}

/** Channels of a grouped ConvTranspose repeat the scales of one group. */
const weightScale = (weight: QuantParams, channel: number): number =>
  weight.scale[channel % weight.scale.length] as number

/** The largest sum of products that one output can collect, at most half of int32. */
function accumulatorReach(input: QuantParams, weight: QuantParams, data: Tensor): number {
  const summands = data.size / Math.max(weight.scale.length, 1)
  const inputReach = input.spec.quantMax - input.spec.quantMin
  const weightReach = Math.max(-weight.spec.quantMin, weight.spec.quantMax)
  return Math.min(summands * inputReach * weightReach, 2 ** 30)
}

function weightData(plan: QuantPlan, group: string, values: ReadonlyMap<string, Value>): Tensor {
  return dataOf(
    must(
      plan.tensors.find((t) => t.group === group),
      `tensor of "${group}"`,
    ),
    values,
  )
}

const dataOf = (tensor: TensorPlan, values: ReadonlyMap<string, Value>): Tensor =>
  must(values.get(tensor.value)?.constant, `constant "${tensor.value}"`)
