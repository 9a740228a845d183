import type { Engine, Feeds } from '@fewbit/core/engine'
import { asTensor, cloneModel, Tensor } from '@fewbit/core/ir'
import { planModel } from '@fewbit/core/pipeline'
import {
  materialize,
  measuredTensors,
  type ParamsTable,
  type QuantParams,
  type QuantPlan,
  type QuantSpec,
  type Range,
  resolveParams,
  type Target,
} from '@fewbit/core/quant'
import { Diagnostics, type Rng } from '@fewbit/core/util'
import type { Case } from '../backend.ts'
import type { Kind } from './layers.ts'
import { RandomNetwork, type Wish } from './network.ts'

export interface RandomOptions {
  readonly layers: number
  readonly samples: number
  readonly seed: number
  /** Activations that the backend's host can run behind an operator; default: what the target fuses. */
  readonly activations?: readonly string[]
}

/** Whether a target runs a kind in integers at all. */
export const runsKind = ({ ops }: Target, { operators }: Kind): boolean =>
  operators.every((op) => ops[op] !== undefined && ops[op].mode !== 'float')

/** Random layers of a kind as one network, quantized for a target on the grids that they ask for, and random codes to run. */
export async function randomCase(kind: Kind, target: Target, engine: Engine, options: RandomOptions): Promise<Case> {
  const { activations = ['Relu', 'Clip'] } = options
  const fuses = (operator: string, activation: string): boolean =>
    activations.includes(activation) &&
    target.fuse.some(({ hosts, chain }) => hosts.includes(operator) && chain.length === 1 && chain[0] === activation)
  const net = new RandomNetwork(options.seed, fuses)
  kind.write(net, options.layers, options.seed)
  const { float, plan } = await planModel(net.model, { engine, target: target.name, smallLayers: 'integer' })
  const params = paramsOf(net, plan, cloneModel(float))
  const form = target.engine === 'onnxruntime' ? 'qdq' : 'simulate'
  const quantized = materialize(cloneModel(float), plan, params, { form })
  const samples = Array.from({ length: options.samples }, () => codesFor(net, plan, params))
  return { network: kind.name, target, float, quantized, plan, params, samples }
}

function paramsOf(net: RandomNetwork, plan: QuantPlan, float: RandomNetwork['model']): Map<string, QuantParams> {
  const any: Wish = { scale: 2 ** -5, zero: 0.5 }
  const activations = new Map(
    measuredTensors(plan).map(({ value, spec }) => [value, rangeOf(net.wishes.get(value) ?? any, spec)]),
  )
  const weights = new Map(
    plan.tensors.flatMap(({ role, value, spec, group }) => {
      const scale = net.scales.get(value)
      const fits = scale && (scale.length === 1) === (spec.granularity.kind === 'tensor')
      return role === 'weight' && fits && !spec.powerOfTwo ? [[group, weightParams(scale, spec)] as const] : []
    }),
  )
  return resolveParams(float, plan, { activations, weights }, new Diagnostics())
}

const weightParams = (scale: readonly number[], spec: QuantSpec): QuantParams => ({
  spec,
  scale,
  zeroPoint: scale.map(() => 0),
})

/** The range whose parameters are those of the wish. */
function rangeOf({ scale, zero }: Wish, { symmetric, quantMin, quantMax }: QuantSpec): Range {
  if (symmetric) return { lo: 0, hi: (scale * (quantMax - quantMin)) / 2 }
  const code = quantMin + Math.round(zero * (quantMax - quantMin))
  return { lo: (quantMin - code) * scale, hi: (quantMax - code) * scale }
}

/** Real values of random codes for every input, those of its grid where it has one. */
function codesFor({ b: { graph }, random }: RandomNetwork, plan: QuantPlan, params: ParamsTable): Feeds {
  const each = graph.inputs.map(({ name, type }) => {
    const dims = (asTensor(type)?.shape ?? []) as number[]
    const group = plan.tensors.find((t) => t.value === name && t.role === 'activation')?.group
    const grid = group === undefined ? undefined : params.get(group)
    const length = dims.reduce((n, d) => n * d, 1)
    const values = Float32Array.from({ length }, () => (grid ? anyCode(grid, random) : random.normal()))
    return [name, Tensor.float32(dims, values)] as const
  })
  return Object.fromEntries(each)
}

function anyCode({ spec, scale, zeroPoint }: QuantParams, random: Rng): number {
  const code = spec.quantMin + random.int(spec.quantMax - spec.quantMin + 1)
  return (code - (zeroPoint[0] ?? 0)) * (scale[0] as number)
}
