import { readyToDifferentiate } from '../../autodiff/index.ts'
import { addFunctionBodies } from '../../engine/index.ts'
import { asTensor, type Model, type Value, valuesByName } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { GradBuilder } from '../../ops/index.ts'
import type { Trainable } from '../../training/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { type ActivationSite, writeActivations } from './activation-sites.ts'
import { CallWriter } from './call-writer.ts'
import { plannedUses } from './planned-uses.ts'
import { roundConstants, type WeightRule, type WeightSite, writeWeights } from './weight-sites.ts'

export interface FormOptions {
  readonly weights: WeightRule
  /** Of an element to be quantized in a step, and to come from the quantized network. */
  readonly prob: number
  /** Whether the scales of activations are learned. */
  readonly scales: boolean
  /** Whether outputs are multiplied with weights that are fed. */
  readonly weighed: boolean
}

/** A unit in the form in which it trains. */
export interface TrainingForm {
  readonly trainable: Trainable
  readonly weights: readonly WeightSite[]
  readonly activations: readonly ActivationSite[]
  readonly biases: readonly string[]
  /** Inputs for uniform numbers. */
  readonly noise: readonly Value[]
  /** Inputs for what the float network has, by the name of the input for what the quantized network has. */
  readonly float: ReadonlyMap<string, string>
  /** Names of outputs, and inputs for what they are multiplied with, by the name of the unit's output. */
  readonly outputs: ReadonlyMap<string, { readonly name: string; readonly weight?: string }>
}

/**
 * A copy of a unit with fake-quantizers where the plan has quantizers and, where elements are dropped, the mix of quantized and float inputs
 * before them.
 * @param unit as `partOf` makes it.
 * @param layers whose weights are learned. @param biases initializers that are learned as well.
 */
export function trainingForm(
  unit: Model,
  layers: Parameters<typeof writeWeights>[2],
  biases: readonly string[],
  cx: QuantizedContext,
  options: FormOptions,
  ops: OpRegistry,
): TrainingForm {
  // Before there are fake-quantizers in it: their bodies cannot be raised.
  const part = readyToDifferentiate(unit, cx.ops)
  const inputs = part.graph.inputs.filter(({ type }) => asTensor(type)?.dtype === 'float32')
  const writer = new CallWriter(part)
  const planned = plannedUses(part, cx.plan)
  const activations = writeActivations(writer, planned, cx, { prob: options.prob, learned: options.scales })
  const weights = writeWeights(writer, planned, layers, options.weights, cx)
  roundConstants(writer, planned, new Set(layers.map(({ layer }) => layer.tensor)), cx)
  const values = valuesByName(part.graph)
  for (const name of biases) writer.parameters.push({ name: must(values.get(name), name).name, kind: 'bias' })
  const float = new Map(
    options.prob < 1 ? inputs.map((x) => [x.name, mixed(writer, x, options.prob).name] as const) : [],
  )
  const outputs = new Map(
    part.graph.outputs.map((y) => [y.name, options.weighed ? weighed(writer, y) : { name: y.name }]),
  )
  addFunctionBodies(part, ops)
  const trainable = { model: part, parameters: writer.parameters, updates: new Map<string, string>() }
  return { trainable, weights, activations, biases, noise: writer.noise, float, outputs }
}

/** Each element comes from the quantized network with a probability, and else from the float one (QDrop, arXiv:2203.05740). */
function mixed(writer: CallWriter, input: Value, prob: number): Value {
  const { builder } = writer
  const uses = input.uses()
  const float = builder.input(`${input.name}_float`, input.type)
  const [first] = builder.graph.nodes
  if (first) builder.moveTo({ before: first })
  const g = new GradBuilder(builder, 'mix')
  const mix = g.where(g.less(writer.noiseFor(input), prob), input, float)
  mix.type = input.type
  builder.moveTo({})
  for (const { node, index } of uses) node.setInput(index, mix)
  return float
}

/** The output times an input of its shape, in its place. */
function weighed({ builder }: CallWriter, output: Value) {
  const { graph } = builder
  const weight = builder.input(`${output.name}_weight`, output.type)
  const product = builder.op('Mul', [output, weight])
  product.type = output.type
  graph.outputs[graph.outputs.indexOf(output)] = product
  return { name: product.name, weight: weight.name }
}
