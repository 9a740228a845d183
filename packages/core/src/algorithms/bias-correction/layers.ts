import { paramsFromData } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import type { ChannelMeans } from '../layer-outputs/index.ts'
import { type BiasedLayer, biasedLayers, shiftBias } from '../linear-bias.ts'

/** The quantized layers whose bias can be moved, and a note on those that have none. */
export function adjustableLayers({ model, plan, ops }: QuantizedContext): { layers: BiasedLayer[]; notes: string[] } {
  const quantized = new Set(plan.tensors.filter(({ role }) => role === 'weight').flatMap(({ readers }) => readers))
  const layers = biasedLayers(model, ops).filter(({ node }) => quantized.has(node.name))
  const adjustable = new Set(layers.map(({ node }) => node.name))
  const others = plan.nodes.filter(
    ({ node, opType }) => quantized.has(node) && isLinear(opType) && !adjustable.has(node),
  )
  return { layers, notes: others.length > 0 ? [noBias(others.map(({ node }) => node))] : [] }
}

const isLinear = (opType: string): boolean => ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'].includes(opType)

function noBias(names: readonly string[]): string {
  const [first] = names
  const others = names.length > 1 ? ` and ${names.length - 1} more layers add` : ' adds'
  return `${first}${others} no constant to each channel, so that there is no bias to move`
}

/** Adds a number to each channel's bias; a bias with a scale of its own gets the one that suits it now. */
export function moveBias(layer: BiasedLayer, shift: Float64Array, { plan, params }: QuantizedContext): void {
  shiftBias(layer, shift)
  const data = must(layer.bias.constant, `bias "${layer.bias.name}"`)
  const own = plan.tensors.filter(({ value, source }) => value === layer.bias.name && source.kind === 'weight')
  for (const { group, spec } of own) params.set(group, paramsFromData(data.numbers(), data.dims, spec))
}

/**
 * Whether a shift that one half of the data tells would make the other half worse. Adding δ to the outputs changes their mean squared error
 * by δ² + 2δ·(E[ŷ] − E[y]); each half tells δ and judges that of the other.
 */
export function isNoise(float: ChannelMeans, quantized: ChannelMeans): boolean {
  const [f, q] = [float.halves, quantized.halves]
  if (!f || !q) return false
  const [even, odd] = [difference(f[0], q[0]), difference(f[1], q[1])]
  return dot(even, even) + dot(odd, odd) - 4 * dot(even, odd) > 0
}

export const difference = (a: Float64Array, b: Float64Array): Float64Array => a.map((x, c) => x - (b[c] as number))

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, c) => sum + x * (b[c] as number), 0)

/** Root mean square over channels. */
export const rms = (shift: Float64Array): number =>
  Math.sqrt(shift.reduce((sum, s) => sum + s * s, 0) / Math.max(1, shift.length))

/** At most five names, and how many more there are. */
export function namesOf(layers: readonly { readonly node: string }[]): string {
  const names = layers.slice(0, 5).map(({ node }) => node)
  const more = layers.length > names.length ? ` and ${layers.length - names.length} more` : ''
  return `${names.join(', ')}${more}`
}
