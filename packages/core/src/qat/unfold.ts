import { cloneModel, type Model, type Node, Tensor, UniqueNames, Value } from '../ir/index.ts'
import type { OpRegistry } from '../ops/index.ts'
import {
  Decline,
  floatAttribute,
  inferenceAffine,
  intAttribute,
  LINEAR_TYPES,
  type LinearLayer,
  linearLayer,
  RuleContext,
} from '../passes/index.ts'
import { must } from '../util/index.ts'
import { normNode } from './lift.ts'
import type { NormRecord } from './record.ts'

export interface Unfolded {
  /** The prepared network with BatchNormalization behind its layers again, and their weights as they are in the file. */
  readonly model: Model
  readonly norms: readonly NormRecord[]
  /** Layers that a BatchNormalization was folded into together with something else, by name. They stay folded. */
  readonly merged: readonly string[]
}

/**
 * Takes the folding of BatchNormalization out of a prepared network. Names of values and nodes stay.
 * @param prepared folded, as it is planned and deployed.
 * @param separate the same network, prepared without folding: where the constants are from.
 */
export function unfoldNorms(prepared: Model, separate: Model, ops: OpRegistry): Unfolded {
  const model = cloneModel(prepared)
  const cx = new RuleContext(separate, ops)
  const layers = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const names = new UniqueNames(model.graph)
  const norms: NormRecord[] = []
  const merged: string[] = []
  const kept = new Set([...model.graph.nodes].filter(isNorm).map((node) => node.name))
  for (const norm of separate.graph.nodes) {
    if (!isNorm(norm) || kept.has(norm.name)) continue
    const found = layerBefore(norm, cx)
    const twin = found && layers.get(found.node.name)
    if (found && twin && isFoldOf(twin, found, norm, cx)) norms.push(unfold(twin, found, norm, model, names))
    else merged.push(norm.name)
  }
  return { model, norms, merged }
}

const isNorm = (node: Node) => node.qualifiedType === 'BatchNormalization'

function layerBefore(norm: Node, cx: RuleContext): LinearLayer | undefined {
  const between = norm.inputs[0]
  const node = between?.producer
  if (!between || !node || !LINEAR_TYPES.includes(node.qualifiedType)) return undefined
  if (between.useCount !== 1 || cx.isOutput(between)) return undefined
  const layer = linearLayer(node, cx)
  return layer instanceof Decline ? undefined : layer
}

/** True if the prepared layer is this one with this normalization folded into it, and with nothing else. */
function isFoldOf(twin: Node, layer: LinearLayer, norm: Node, cx: RuleContext): boolean {
  const [weight, bias] = [twin.inputs[1]?.constant, twin.inputs[2]?.constant]
  const affine = inferenceAffine(norm, layer.outChannels, cx)
  if (affine instanceof Decline || !weight || !bias || twin.opType !== layer.node.opType) return false
  if (
    twin.outputs[0]?.name !== norm.outputs[0]?.name ||
    intAttribute(twin, 'transB', 0) !== intAttribute(layer.node, 'transB', 0)
  )
    return false
  const { a, c } = affine
  const weights = Float64Array.from(layer.tensor.numbers(), (w, i) => w * (a[layer.outChannelOf(i)] as number))
  return (
    isClose(weight, weights) &&
    isClose(
      bias,
      layer.bias.map((b, o) => (a[o] as number) * b + (c[o] as number)),
    )
  )
}

/** To float32's precision of the largest element. */
function isClose(tensor: Tensor, expected: Float64Array): boolean {
  const values = tensor.numbers()
  const tolerance = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 0) * 2 ** -22
  return values.length === expected.length && expected.every((v, i) => Math.abs(v - (values[i] as number)) <= tolerance)
}

function unfold(
  twin: Node,
  { node, tensor, bias }: LinearLayer,
  norm: Node,
  model: Model,
  names: UniqueNames,
): NormRecord {
  const { graph } = model
  const own = must(twin.inputs[1], 'weight of the layer')
  own.constant = tensor
  const deployedBias = must(twin.inputs[2], 'bias of the layer')
  // Gemm's beta is in the bias that is read here.
  if (node.inputs[2]) deployedBias.constant = Tensor.fromNumbers(tensor.dtype, [bias.length], bias)
  else {
    twin.truncateInputs(2)
    graph.initializers.delete(deployedBias)
  }
  const output = must(twin.outputs[0], 'output of the layer')
  const between = new Value(names.value(norm.inputs[0]?.name ?? 'between'), output.type)
  const parameters = norm.inputs
    .slice(1, 5)
    .map((v) => graph.addInitializer(names.value(must(v, 'parameter').name), must(v?.constant, 'constant')))
  twin.setOutput(0, between)
  const [scale = '', offset = '', mean = '', variance = ''] = parameters.map(({ name }) => name)
  const record: NormRecord = {
    ...{ layer: twin.name, norm: norm.name, between: between.name },
    ...{ weight: own.name, deployedBias: deployedBias.name, ...(node.inputs[2] ? { bias: deployedBias.name } : {}) },
    ...{ scale, offset, mean, variance },
    epsilon: floatAttribute(norm, 'epsilon', 1e-5),
    momentum: floatAttribute(norm, 'momentum', 0.9),
  }
  const byName = new Map(parameters.map((value) => [value.name, value]))
  graph.add(
    normNode(record, between, output, (name) => must(byName.get(name), name)),
    { after: twin },
  )
  return record
}
