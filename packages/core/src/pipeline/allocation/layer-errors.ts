import { runOver, sqnrDb } from '../../analysis/index.ts'
import { attribute, cloneModel, GraphBuilder, type Model, type Node, type Value } from '../../ir/index.ts'
import { materialize, type QuantParams, type TensorPlan } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { ProgressCallback } from '../run.ts'
import type { LayerGroup } from './layers.ts'
import type { Bench, Sensitivity, TriedPlan } from './sensitivity.ts'

/** A group and the plan of the whole network that says how it is quantized. */
export interface GroupTrial {
  readonly group: LayerGroup
  readonly plan: TriedPlan
}

/** A copy of a layer that computes with quantized inputs and weights beside the layer itself. */
interface Shadow {
  readonly node: string
  readonly copy: string
  /** Its position. */
  readonly trial: number
}

/**
 * What quantizing a layer does to its own result: E‖ŷ − y‖² / E‖y‖² on the float network's inputs. Of a matrix product with quantized weights
 * the numerator is tr(ΔW·G·ΔWᵀ) with the second moment G = E[x·xᵀ] of the inputs, the proxy of HAWQ-V2's Hessian term that needs no
 * gradients; here with the rounding of the inputs, and for convolutions too. All layers in all choices are measured in one pass.
 */
export async function layerErrors(
  bench: Bench,
  trials: readonly GroupTrial[],
  onProgress: ProgressCallback,
): Promise<Sensitivity[]> {
  const { ready, run, data, samples } = bench
  const { model, shadows } = shadowModel(bench, trials)
  const noise = trials.map(() => 0)
  const signal = trials.map(() => 0)
  const options = { engine: run.engine, data, limit: samples, batchSize: ready.looked.batchSize, onProgress }
  for await (const { outputs } of runOver(model, { ...options, load: { optimization: 'simulate' }, ...run.signal })) {
    for (const { copy, node, trial } of shadows) {
      noise[trial] = (noise[trial] as number) + Number(outputs[noiseOutput(copy)]?.numbers()[0])
      signal[trial] = (signal[trial] as number) + Number(outputs[signalOutput(node)]?.numbers()[0])
    }
  }
  return trials.map((_, i) => ({ sqnr: sqnrDb(signal[i] as number, noise[i] as number) }))
}

const noiseOutput = (copy: string): string => `fewbit_noise_${copy}`
const signalOutput = (node: string): string => `fewbit_signal_${node}`

function shadowModel({ ready }: Bench, trials: readonly GroupTrial[]) {
  const model = cloneModel(ready.float)
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const shadows: Shadow[] = []
  const tensors: TensorPlan[] = []
  const params = new Map<string, QuantParams>()
  const results = new Map<string, { readonly shadow: Value; readonly of: Node }>()
  for (const [trial, { group, plan: tried }] of trials.entries()) {
    for (const { node } of group.layers) {
      const of = must(nodes.get(node), node)
      const { shadow, name } = copyOf(of, trial)
      shadows.push({ node, copy: name, trial })
      results.set(name, { shadow, of })
      for (const tensor of tried.plan.tensors.filter(({ readers }) => readers.includes(node))) {
        const { graphOutput: _, ...rest } = tensor
        const own = `${name}/${tensor.group}`
        tensors.push({ ...rest, group: own, readers: [name] })
        params.set(own, must(tried.params.get(tensor.group), tensor.group))
      }
    }
  }
  const { plan } = must(trials[0], 'trial').plan
  materialize(model, { ...plan, tensors }, params, { form: ready.execution.form })
  reduce(model, results)
  return { model, shadows }
}

function copyOf(node: Node, trial: number) {
  const builder = new GraphBuilder(must(node.graph, 'graph'), { after: node })
  const shadow = builder.op(node.opType, node.inputs, Object.fromEntries(node.attributes), {
    name: `${node.name}@${trial}`,
    domain: node.domain,
    types: [node.outputs[0]?.type],
  })
  return { shadow, name: must(shadow.producer, 'node').name }
}

/** Replaces the outputs by sums of squares, declared in reverse, so that every result is let go of as soon as it is reduced. */
function reduce(model: Model, shadows: ReadonlyMap<string, { readonly shadow: Value; readonly of: Node }>): void {
  const { graph } = model
  const builder = new GraphBuilder(graph)
  const squares = (value: Value, output: string) =>
    builder.op('ReduceSumSquare', [value], { keepdims: attribute.int(0) }, { output })
  const outputs: Value[] = []
  const done = new Set<string>()
  for (const [copy, { shadow, of }] of shadows) {
    const result = must(of.outputs[0], 'result')
    outputs.push(squares(builder.op('Sub', [shadow, result]), noiseOutput(copy)))
    if (!done.has(of.name)) outputs.push(squares(result, signalOutput(of.name)))
    done.add(of.name)
  }
  graph.outputs.length = 0
  graph.outputs.push(...outputs.reverse())
}
