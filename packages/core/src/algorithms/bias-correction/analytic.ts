import { valuesByName } from '../../ir/index.ts'
import { RuleContext } from '../../passes/index.ts'
import { fakeQuantize } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { AlgorithmOutcome, QuantizedContext } from '../algorithm.ts'
import type { BiasedLayer } from '../linear-bias.ts'
import { forChannels, propagateMoments, type ValueMoments, weightsOf } from '../moments/index.ts'
import { moveBias, namesOf, rms } from './layers.ts'

/**
 * Moves each bias by −ε·E[x], with ε = Ŵ − W the error of the weights and E[x] the mean of the layer's input, which BatchNormalization before
 * it and the functions in between tell: behind Relu it is the mean of a clipped normal (Nagel 2019, section 4.2.1). What quantized
 * activations shift, it does not see.
 */
export async function correctAnalytically(
  cx: QuantizedContext,
  layers: readonly BiasedLayer[],
  notes: readonly string[],
): Promise<AlgorithmOutcome> {
  const { ops, engine, norms, signal } = cx
  const moments = await propagateMoments(cx.reference, { ops, engine, norms, ...(signal ? { signal } : {}) })
  const done: { node: string; shift: number }[] = []
  const unknown: { node: string }[] = []
  for (const layer of layers) {
    const shift = shiftOf(layer, moments, cx)
    if (shift) moveBias(layer, shift, cx)
    if (shift) done.push({ node: layer.node.name, shift: rms(shift) })
    else unknown.push({ node: layer.node.name })
    cx.progress(done.length + unknown.length, layers.length)
  }
  const missing = `no BatchNormalization tells the mean of the input of ${namesOf(unknown)}`
  const all = unknown.length > 0 ? [...notes, missing] : notes
  return { changed: done.map(({ node }) => node), notes: all, details: { layers: done } }
}

/** −(Ŵ − W)·E[x] for each output channel, W as trained. */
function shiftOf(
  { node }: BiasedLayer,
  moments: ReadonlyMap<string, ValueMoments>,
  cx: QuantizedContext,
): Float64Array | undefined {
  const trained = weightsOf(nodeNamed(node.name, cx), new RuleContext(cx.reference, cx.ops))
  const input = moments.get(node.inputs[0]?.name ?? '')
  const known = trained && input && input.origin !== 'input' ? forChannels(input, trained.inChannels) : undefined
  const rounded = roundedWeight(node.name, must(node.inputs[1], 'weight').name, cx)
  if (!trained || !known || !rounded) return undefined
  const shift = new Float64Array(trained.outChannels)
  const weights = trained.tensor.numbers()
  for (let i = 0; i < weights.length; i++) {
    const error = (rounded[i] as number) - (weights[i] as number)
    const o = trained.outChannelOf(i)
    shift[o] = (shift[o] as number) - error * (known.mean[trained.inChannelOf(i)] as number)
  }
  return shift
}

function nodeNamed(name: string, { reference }: QuantizedContext) {
  return must(
    [...reference.graph.nodes].find((node) => node.name === name),
    `node "${name}"`,
  )
}

/** The numbers that the codes of a node's weight stand for. */
function roundedWeight(
  node: string,
  weight: string,
  { model, plan, params }: QuantizedContext,
): Float32Array | undefined {
  const tensor = plan.tensors.find(({ value, readers }) => value === weight && readers.includes(node))
  const found = tensor && params.get(tensor.group)
  const data = valuesByName(model.graph).get(weight)?.constant
  return found && data ? fakeQuantize(data.numbers(), found, data.dims) : undefined
}
