import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  batches,
  type Dataset,
  dropPadding,
  type Engine,
  modelInputs,
  probeModel,
  type Sample,
} from '@fewbit/core/engine'
import { type Model, type Node, Tensor, valuesByName } from '@fewbit/core/ir'
import { intAttribute, intsAttribute } from '@fewbit/core/passes'
import type { QuantizeResult } from '@fewbit/core/pipeline'
import { forEachRun } from '@fewbit/core/quant'
import { writeSamples } from '../lib/samples.ts'
import { fromSamples } from '../lib/shared-data.ts'

/** A weight and the one node that multiplies with it. */
export interface Layer {
  readonly weight: string
  readonly group: string
  readonly node: Node
}

/** The layers of a quantized network whose weight stands at input 1 of a Conv, Gemm or MatMul. */
export function layersOf({ float, plan }: QuantizeResult): Layer[] {
  const nodes = new Map([...float.graph.nodes].map((node) => [node.name, node]))
  return plan.tensors.flatMap(({ role, value, group, readers }) => {
    const node = nodes.get(readers[0] as string)
    const known = node && ['Conv', 'Gemm', 'MatMul'].includes(node.opType) && node.inputs[1]?.name === value
    return role === 'weight' && known && readers.length === 1 ? [{ weight: value, group, node }] : []
  })
}

/** Writes what `adaround.py` reads: the layers, their float weights and scales. */
export async function writeLayers(result: QuantizeResult, layers: readonly Layer[], folder: string): Promise<void> {
  const facts = layers.map(({ node, group }) => {
    const { quantMin, quantMax } = result.params.get(group)?.spec ?? { quantMin: 0, quantMax: 0 }
    return {
      ...{ name: node.name, op: node.opType, quantMin, quantMax },
      strides: intsAttribute(node, 'strides') ?? [1, 1],
      pads: intsAttribute(node, 'pads') ?? [0, 0, 0, 0],
      dilations: intsAttribute(node, 'dilations') ?? [1, 1],
      group: intAttribute(node, 'group', 1),
      transposed: intAttribute(node, 'transB', 0) === 1,
    }
  })
  writeFileSync(join(folder, 'layers.json'), JSON.stringify(facts))
  await writeWeights(result.float, layers, join(folder, 'weights.npz'), scalesOf(result, layers))
}

/** Writes the layers' weights in a network as w0, w1, … */
export async function writeWeights(
  { graph }: Model,
  layers: readonly Layer[],
  file: string,
  more: Sample['feeds'] = {},
): Promise<void> {
  const values = valuesByName(graph)
  const weights = layers.map(({ weight }, i) => [`w${i}`, values.get(weight)?.constant as Tensor] as const)
  await writeSamples(fromSamples('weights', [{ id: '', feeds: { ...Object.fromEntries(weights), ...more } }]), file)
}

/** Each weight's scales, in the shape of the weight. */
function scalesOf({ float, params }: QuantizeResult, layers: readonly Layer[]): Sample['feeds'] {
  const values = valuesByName(float.graph)
  const scales = layers.map(({ weight, group }, i) => {
    const tensor = values.get(weight)?.constant
    const own = params.get(group)
    if (!tensor || !own) throw new Error(`"${weight}" has no scales`)
    const each = new Float32Array(tensor.size)
    const fill = (start: number, end: number, p: number) => each.fill(own.scale[p] as number, start, end)
    forEachRun(tensor.dims, own.spec.granularity, fill)
    return [`s${i}`, Tensor.float32(tensor.dims, each)]
  })
  return Object.fromEntries(scales)
}

/** Writes the layers' inputs in the float network as x0, x1, … */
export async function writeInputs(model: Model, layers: readonly Layer[], data: Dataset, engine: Engine, file: string) {
  const names = layers.map(({ node }) => node.inputs[0]?.name as string)
  const own = new Set(model.graph.inputs.map(({ name }) => name))
  const session = await engine.load(probeModel(model, [...new Set(names.filter((name) => !own.has(name)))]))
  const samples: Sample[] = []
  for await (const batch of batches(data, modelInputs(model), { batchSize: 1 })) {
    const made = dropPadding({ ...batch.feeds, ...(await session.run(batch.feeds)) }, batch)
    samples.push({ id: '', feeds: Object.fromEntries(names.map((name, i) => [`x${i}`, made[name] as Tensor])) })
  }
  await session.release()
  await writeSamples(fromSamples('inputs', samples), file)
}
