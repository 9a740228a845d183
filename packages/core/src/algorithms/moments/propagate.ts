import type { Engine } from '../../engine/index.ts'
import { asTensor, type Model, type Node, type Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { RuleContext } from '../../passes/index.ts'
import type { NormStatistics } from '../norm-statistics.ts'
import { clip, product, sum } from './elementwise-rules.ts'
import { concat, moved, padded } from './layout-rules.ts'
import { linear } from './linear-rule.ts'
import type { MomentRule } from './rule.ts'
import { transformed } from './transformed.ts'
import { normalMoments, pooled, type ValueMoments } from './value-moments.ts'

export interface MomentOptions {
  readonly ops: OpRegistry
  readonly engine: Engine
  readonly norms: NormStatistics
  /** Of graph inputs, where they are known. */
  readonly inputs?: ReadonlyMap<string, ValueMoments>
  /** Standard deviations from the mean to the bounds of a normal value. Default 6 (Nagel 2019, section 5). */
  readonly deviations?: number
  readonly signal?: AbortSignal
}

/** Axis of channels in what BatchNormalization makes. */
const NORM_AXIS = 1

/** Operators whose rule is their own mathematics. Others go by their traits. */
const RULES: Readonly<Record<string, MomentRule>> = {
  Relu: clip,
  Clip: clip,
  Add: sum(1),
  Sub: sum(-1),
  Mul: product,
  Concat: concat,
  Pad: padded,
  Conv: linear,
  ConvTranspose: linear,
  Gemm: linear,
  MatMul: linear,
}

/**
 * What can be known of the values of a network without data: the statistics that BatchNormalization keeps, carried on through the nodes
 * behind. Values that nothing is known of are not in the table.
 */
export async function propagateMoments(model: Model, options: MomentOptions): Promise<Map<string, ValueMoments>> {
  const { norms, inputs, deviations = 6, signal } = options
  const found = new Map<string, ValueMoments>(inputs)
  const cx = new RuleContext(model, options.ops)
  for (const node of model.graph.nodes) {
    signal?.throwIfAborted()
    for (const output of node.outputs) {
      if (!output || !isFloat(output)) continue
      const norm = norms.get(output.name)
      const moments = norm
        ? normalMoments(norm, NORM_AXIS, deviations, 'norm')
        : await behind(node, output, found, cx, { ...options, deviations })
      if (moments) found.set(output.name, moments)
    }
  }
  return found
}

const isFloat = (value: Value): boolean => (asTensor(value.type)?.dtype ?? 'float32').startsWith('float')

async function behind(
  node: Node,
  output: Value,
  found: ReadonlyMap<string, ValueMoments>,
  cx: RuleContext,
  options: MomentOptions & { readonly deviations: number },
): Promise<ValueMoments | undefined> {
  const { ops, engine, deviations } = options
  const open = node.inputs.filter((value) => value !== null && !value.constant && isFloat(value)) as Value[]
  const inputs = open.flatMap((value) => found.get(value.name) ?? [])
  const def = ops.of(node)
  if (!def) return undefined
  const { fixedRange, traits = [] } = def.quant
  if (inputs.length < open.length || inputs.length === 0) return fixedRange && uniform(fixedRange)
  const [x, ...others] = open
  const [moments] = inputs
  const isUnary = traits.includes('elementwise') && others.length === 0
  const rule = RULES[node.qualifiedType]
  const ruled = rule?.({ node, output, inputs, ops, cx, deviations })
  if (ruled) return ruled
  if (isUnary && x && moments) return transformed(cx.model, engine, node, x, moments)
  if (fixedRange) return uniform(fixedRange)
  if (!moments || rule || others.length > 0) return undefined
  if (traits.includes('channelwise') && traits.includes('scale-preserving'))
    return { ...moments, origin: derived(moments) }
  if (traits.includes('averaging')) return averaged(output, moments)
  return traits.includes('scale-preserving') ? moved({ node, output, inputs, ops, cx, deviations }) : undefined
}

const derived = ({ origin }: ValueMoments) => (origin === 'input' ? origin : ('derived' as const))

/** Means of elements keep the mean and the bounds, and deviate by less. */
const averaged = (output: Value, moments: ValueMoments): ValueMoments => {
  const size = asTensor(output.type)?.shape?.[moments.axis]
  return size === moments.mean.length ? moments : pooled(moments)
}

const uniform = ([lo, hi]: readonly [number, number]): ValueMoments => {
  const one = (x: number) => Float64Array.of(x)
  const normal = { mean: one((lo + hi) / 2), std: one((hi - lo) / Math.sqrt(12)) }
  return { ...normal, normal, lo: one(lo), hi: one(hi), axis: 1, origin: 'derived' }
}
