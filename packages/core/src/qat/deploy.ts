import { cloneModel, type Model, type Node, Tensor, valuesByName } from '../ir/index.ts'
import {
  fakeQuantize,
  groupsOf,
  type ParamsTable,
  paramsFromData,
  type QuantParams,
  type QuantPlan,
  type QuantSpec,
  resolveBiases,
} from '../quant/index.ts'
import { type Diagnostics, must, problem } from '../util/index.ts'
import { batchNormStrategy } from './batch-norm/index.ts'
import type { QatContext } from './context.ts'
import { type FoldedLayer, foldLayer } from './folded.ts'
import { chosen } from './init-quantizers.ts'
import { type Lifted, lift } from './lift.ts'
import { type QFloat, withoutRecord } from './qfloat.ts'
import type { NormRecord, QFloatRecord, QuantizerRecord } from './record.ts'
import { fittedScale, scaleBounds } from './scale-bounds.ts'
import { stateOfInputs } from './state.ts'

/** What a network with fake-quantizers becomes: `materialize(float, plan, params)` is the quantized network. */
export interface Deployed {
  /** The float network with BatchNormalization folded, and weights as fake-quantizers want them stored. */
  readonly float: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

/**
 * Folds BatchNormalization with what was trained, and reads scales off the fake-quantizers.
 * @throws FewbitError QAT_DISABLED where fake-quantizers are off, because the quantized network would not be the one that was trained.
 */
export function deploy(qfloat: QFloat, cx: QatContext, diagnostics: Diagnostics): Deployed {
  const { record } = qfloat
  refuseDisabled(record.quantizers)
  const lifted = lift(qfloat, cx.ops)
  const params = new Map(
    record.quantizers.map((quantizer) => [quantizer.group, deployedParams(quantizer, lifted, cx)] as const),
  )
  const float = withoutRecord(cloneModel(lifted.base))
  const keepsOwn = batchNormStrategy(record.batchNorm).kind === 'separate'
  if (!keepsOwn) foldAll(float, record.norms)
  storeWeights(float, record.quantizers, lifted, cx)
  if (keepsOwn) foldRounded(float, record, params)
  fitBounds(record.plan, params)
  resolveBiases(float, record.plan, params, diagnostics)
  return { float, plan: record.plan, params }
}

/** Scales of which codes lie beyond a bound by rounding give way by that. */
function fitBounds(plan: QuantPlan, params: Map<string, QuantParams>): void {
  for (const [group, members] of groupsOf(plan)) {
    const found = params.get(group)
    const [scale] = found?.scale ?? []
    if (!found || scale === undefined || members[0]?.role !== 'activation') continue
    const fitted = fittedScale(scale, scaleBounds(members, found.spec, found.zeroPoint[0] ?? 0))
    if (fitted !== scale) params.set(group, { ...found, scale: [fitted] })
  }
}

function refuseDisabled(quantizers: readonly QuantizerRecord[]): void {
  const off = quantizers.filter(({ enabled }) => !enabled).map(({ group }) => group)
  if (off.length === 0) return
  const shown = off
    .slice(0, 5)
    .map((group) => `"${group}"`)
    .join(', ')
  const more = off.length > 5 ? ` and ${off.length - 5} more` : ''
  throw problem(
    'QAT_DISABLED',
    `fake-quantizers of ${shown}${more} are off, so that the quantized network would be another one`,
    {
      at: { value: off[0] as string },
      fix: 'switch them on, or prepare with these nodes in float',
      data: { groups: off },
    },
  )
}

/** What a fake-quantizer is deployed as. */
export function deployedParams(
  { inputs, quantizer, spec }: QuantizerRecord,
  { state }: Lifted,
  cx: QatContext,
): QuantParams {
  const { quantizer: rule, options } = chosen(quantizer, cx)
  return rule.toParams(spec, stateOfInputs(inputs, state), options)
}

/** Folds every BatchNormalization into its layer. */
export function foldAll(model: Model, norms: readonly NormRecord[]): ReadonlyMap<string, FoldedLayer> {
  const nodes = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  const folded = norms.map((norm) => {
    const layer = must(nodes.get(norm.layer), `layer "${norm.layer}"`)
    const found = foldLayer(model, norm, layer)
    replaceFolded(layer, must(nodes.get(norm.norm), `normalization "${norm.norm}"`), norm, found)
    return [norm.weight, found] as const
  })
  for (const value of model.graph.initializers) if (value.useCount === 0) model.graph.initializers.delete(value)
  return new Map(folded)
}

function replaceFolded(layer: Node, node: Node, norm: NormRecord, { weight, bias }: FoldedLayer): void {
  const graph = must(layer.graph, 'graph of the layer')
  must(layer.inputs[1], 'weight of the layer').constant = weight
  const own = layer.inputs[2]
  if (own) own.constant = bias
  else layer.setInput(2, graph.addInitializer(norm.deployedBias, bias))
  const output = must(node.outputs[0], 'output of the normalization')
  node.setOutput(0, null)
  graph.remove(node)
  layer.setOutput(0, output)
}

/** Weights that a rule stores in another form than the one that is trained. */
function storeWeights(model: Model, quantizers: readonly QuantizerRecord[], { state }: Lifted, cx: QatContext): void {
  const values = valuesByName(model.graph)
  for (const { role, quantizer, spec, inputs, sites } of quantizers) {
    const { quantizer: rule, options } = chosen(quantizer, cx)
    if (role !== 'weight' || !rule.deployedWeights) continue
    for (const { value } of sites) {
      const found = must(values.get(value), `weight "${value}"`)
      const { dims } = must(found.constant, `weight "${value}"`)
      const weights = { values: Float32Array.from(must(found.constant, 'weight').numbers()), dims }
      const stored = rule.deployedWeights(weights, spec, stateOfInputs(inputs, state), options)
      found.constant = Tensor.float32(dims, stored)
    }
  }
}

/**
 * Folds BatchNormalization into weights that were quantized without it: W = code · s becomes W·a = code · (s·a), which keeps the codes where
 * each output channel has a scale of its own. Elsewhere the product is quantized anew.
 */
function foldRounded(model: Model, { norms, quantizers }: QFloatRecord, params: Map<string, QuantParams>): void {
  const values = valuesByName(model.graph)
  const byWeight = quantizerByWeight(quantizers)
  for (const { weight } of norms) {
    const quantizer = byWeight.get(weight)
    const found = values.get(weight)
    if (!quantizer || !found?.constant) continue
    const { dims } = found.constant
    found.constant = Tensor.float32(
      dims,
      fakeQuantize(found.constant.numbers(), must(params.get(quantizer.group), 'parameters'), dims),
    )
  }
  for (const [weight, folded] of foldAll(model, norms)) {
    const group = byWeight.get(weight)?.group
    const before = group === undefined ? undefined : params.get(group)
    if (group !== undefined && before) params.set(group, withFactors(before, folded))
  }
}

/** Fake-quantizers of weights, by the value that they stand on. */
export const quantizerByWeight = (quantizers: readonly QuantizerRecord[]): ReadonlyMap<string, QuantizerRecord> =>
  new Map(
    quantizers.filter(({ role }) => role === 'weight').flatMap((q) => q.sites.map(({ value }) => [value, q] as const)),
  )

/** Whether a factor of each channel can go into the scales of a weight. */
export const takesFactors = ({ granularity, powerOfTwo, format }: QuantSpec): boolean =>
  granularity.kind === 'channel' && !powerOfTwo && !format

function withFactors(params: QuantParams, { weight, factor }: FoldedLayer): QuantParams {
  const { spec, scale, zeroPoint } = params
  if (!takesFactors(spec) || scale.length !== factor.length) return paramsFromData(weight.numbers(), weight.dims, spec)
  const scaled = scale.map((s, c) => Math.fround(s * Math.abs(factor[c] as number)))
  // A channel of factor 0 is 0 throughout, and exact under any scale.
  const filler = scaled.reduce((most, s) => Math.max(most, s), 0) || 1
  const mirrored = (z: number, c: number) => ((factor[c] as number) < 0 ? spec.quantMin + spec.quantMax - z : z)
  return {
    spec,
    scale: scaled.map((s) => s || filler),
    zeroPoint: spec.symmetric ? zeroPoint : zeroPoint.map(mirrored),
  }
}
