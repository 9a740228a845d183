import type { Node } from '../ir/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings, movesElements } from './encodings.ts'
import { snappedModel } from './float-model.ts'
import { activations, bits, every, of, perTensor, weights } from './holds.ts'
import { groupsOf, weightedLayers } from './layers.ts'
import { type Json, jsonFile, reals } from './text.ts'

/** Layers without parameters of their own in NNIE's mapper (MQBench, `nnie_exclude_layer_type`). */
const WITHOUT = new Set([
  'Flatten',
  'Relu',
  'PRelu',
  'Sigmoid',
  'Reshape',
  'Softmax',
  'Clip',
  'GlobalAveragePool',
  'Mul',
])

/** The mapper writes an upsampling as two layers and numbers the second. */
const UPSAMPLINGS = new Set(['Resize', 'Upsample'])

/**
 * MQBench's `gfpq_param_dict` for HiSilicon NNIE: for each layer the clipping value of each input, a number whose log2 is a
 * multiple of 1/16 (docs/exporters/nnie.md).
 */
export const nnie: Exporter = {
  name: 'nnie',
  summary: 'NNIE gfpq parameters JSON, in the layout of MQBench',
  check: (cx) =>
    complete(cx, {
      holds: every(logarithmic, of(['activation', 'weight'], perTensor, bits(8)), standsAtLayer(cx)),
      oneForm: true,
    }),
  emit: (cx) => [
    snappedModel(cx),
    jsonFile(`${cx.name}.gfpq.json`, { nnie: { gfpq_param_dict: new Map(entries(cx)) } }),
  ],
}

const logarithmic: Holds = ({ role }, { spec }) =>
  role === 'bias' ||
  role === 'fill' ||
  spec.format?.kind === 'log2' ||
  'it knows logarithmic codes only, as NNIE computes'

function layersOf({ model, plan }: ExportContext): Node[] {
  const quantized = new Set(
    plan.nodes.filter((n) => n.decision === 'integer' || n.decision === 'quantized').map((n) => n.node),
  )
  return [...model.graph.nodes].filter((node) => quantized.has(node.name) && !WITHOUT.has(node.opType))
}

function entries(cx: ExportContext): [string, Json][] {
  const encoded = activationEncodings(cx)
  let upsamplings = 0
  return layersOf(cx).flatMap((node): [string, Json][] => {
    const isUpsampling = UPSAMPLINGS.has(node.opType)
    const inputs = isUpsampling ? node.inputs.slice(0, 1) : node.inputs
    const clips = inputs.flatMap((value) => encoded.get(value?.name ?? '')?.scale ?? [])
    if (clips.length === 0) return []
    // "Group conv need group-size input params" (MQBench, which leaves them out).
    const values = reals(Array.from({ length: groupsOf(node) }, () => clips).flat())
    if (!isUpsampling) return [[node.name, values]]
    return [
      [node.name, values],
      [`${node.name}_permute_${upsamplings++}`, values],
    ]
  })
}

function standsAtLayer(cx: ExportContext): Holds {
  const keyed = new Set(layersOf(cx).map((node) => node.name))
  const weighted = new Set(weightedLayers(cx).map(({ weight }) => weight.tensor.value))
  const nodes = new Map([...cx.model.graph.nodes].map((node) => [node.name, node]))
  const stranger = (reader: string) => {
    const node = nodes.get(reader)
    return !keyed.has(reader) && !(node && movesElements(node, cx))
  }
  return every(
    weights(({ value }) => weighted.has(value) || 'it knows weights of layers only'),
    activations(({ readers, graphOutput }) => {
      const lost = readers.find(stranger)
      if (lost !== undefined) return `NNIE takes no parameters for ${nodes.get(lost)?.opType ?? lost} nodes`
      return !graphOutput || readers.length > 0 || 'it holds inputs of layers only'
    }),
  )
}
