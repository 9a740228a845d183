import { runOver } from '../analysis/index.ts'
import type { BatchOptions, Dataset, Engine } from '../engine/index.ts'
import { attribute, cloneModel, GraphBuilder, type Model, type Node, type Value } from '../ir/index.ts'
import {
  materialize,
  type ParamsTable,
  type QuantForm,
  type QuantParams,
  type QuantPlan,
  type TensorPlan,
} from '../quant/index.ts'
import { must } from '../util/index.ts'

/** Layers of the float network, and how they are quantized. */
export interface ShadowTrial {
  readonly nodes: readonly string[]
  readonly plan: QuantPlan
  readonly params: ParamsTable
  /** What of the tensors that the nodes read is quantized; the others stay in float. */
  readonly takes: (tensor: TensorPlan) => boolean
}

/** What quantizing does to a layer's own result, on the float network's inputs. */
export interface ShadowError {
  /** Position of the trial. */
  readonly trial: number
  readonly node: string
  /** Σ (ŷ − y)² and Σ y², for each run. */
  readonly noise: readonly number[]
  readonly signal: readonly number[]
}

export interface ShadowOptions extends BatchOptions {
  readonly engine: Engine
  readonly data: Dataset
  readonly form: QuantForm
  readonly onProgress?: (done: number, total: number | undefined) => void
}

/** A copy of a layer that computes with quantized inputs and weights beside the layer itself. */
interface Shadow {
  readonly node: Node
  readonly trial: number
  readonly copy: string
  readonly result: Value
}

/** Errors of each layer of each trial. All are measured in one pass over the data, in one graph. */
export async function shadowErrors(
  float: Model,
  trials: readonly ShadowTrial[],
  { form, ...options }: ShadowOptions,
): Promise<ShadowError[]> {
  const { model, shadows } = shadowModel(float, trials, form)
  const errors = shadows.map(({ node, trial, copy }) => {
    return { trial, node: node.name, copy, noise: [] as number[], signal: [] as number[] }
  })
  for await (const { outputs } of runOver(model, { ...options, load: { optimization: 'simulate' } })) {
    for (const { copy, node, noise, signal } of errors) {
      noise.push(Number(outputs[noiseOutput(copy)]?.numbers()[0]))
      signal.push(Number(outputs[signalOutput(node)]?.numbers()[0]))
    }
  }
  return errors
}

const noiseOutput = (copy: string): string => `fewbit_noise_${copy}`
const signalOutput = (node: string): string => `fewbit_signal_${node}`

function shadowModel(float: Model, trials: readonly ShadowTrial[], form: QuantForm) {
  const model = cloneModel(float)
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const shadows = trials.flatMap((trial, i) => trial.nodes.map((name) => shadowOf(must(nodes.get(name), name), i)))
  const { tensors, params } = tensorsOf(shadows, trials)
  const [first] = trials
  if (first) materialize(model, { ...first.plan, tensors }, params, { form })
  reduce(model, shadows)
  return { model, shadows }
}

function shadowOf(node: Node, trial: number): Shadow {
  const builder = new GraphBuilder(must(node.graph, 'graph'), { after: node })
  const result = builder.op(node.opType, node.inputs, Object.fromEntries(node.attributes), {
    name: `${node.name}@${trial}`,
    domain: node.domain,
    types: [node.outputs[0]?.type],
  })
  return { node, trial, copy: must(result.producer, 'node').name, result }
}

/** What the copies read. Tensors with the same parameters are quantized once, whoever reads them. */
function tensorsOf(shadows: readonly Shadow[], trials: readonly ShadowTrial[]) {
  const known = new Map<QuantParams, Map<string, { readonly tensor: TensorPlan; readonly readers: string[] }>>()
  for (const { node, trial, copy } of shadows) {
    const { plan, params, takes } = must(trials[trial], 'trial')
    for (const tensor of plan.tensors) {
      if (!tensor.readers.includes(node.name) || !takes(tensor)) continue
      const own = must(params.get(tensor.group), tensor.group)
      const values = known.get(own) ?? new Map()
      known.set(own, values)
      const found = values.get(tensor.value)
      if (found) found.readers.push(copy)
      else values.set(tensor.value, { tensor, readers: [copy] })
    }
  }
  const all = [...known].flatMap(([own, values]) => [...values.values()].map((found) => ({ ...found, own })))
  const named = all.map(({ tensor: { graphOutput: _, ...tensor }, readers, own }, i) => {
    return { tensor: { ...tensor, group: `${i}/${tensor.group}`, readers }, own }
  })
  return {
    tensors: named.map(({ tensor }) => tensor),
    params: new Map(named.map(({ tensor, own }) => [tensor.group, own])),
  }
}

/** Replaces the outputs by sums of squares, declared in reverse, so that every result is let go of as soon as it is reduced. */
function reduce(model: Model, shadows: readonly Shadow[]): void {
  const { graph } = model
  const builder = new GraphBuilder(graph)
  const squares = (value: Value, output: string) =>
    builder.op('ReduceSumSquare', [value], { keepdims: attribute.int(0) }, { output })
  const outputs: Value[] = []
  const done = new Set<Node>()
  for (const { node, copy, result } of shadows) {
    const float = must(node.outputs[0], 'result')
    outputs.push(squares(builder.op('Sub', [result, float]), noiseOutput(copy)))
    if (!done.has(node)) outputs.push(squares(float, signalOutput(node.name)))
    done.add(node)
  }
  graph.outputs.length = 0
  graph.outputs.push(...outputs.reverse())
}
