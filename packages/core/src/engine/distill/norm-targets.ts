import { asTensor, type Model, type Value } from '../../ir/index.ts'
import { inferContext, type OpRegistry, versionIn } from '../../ops/index.ts'
import { inferFacts } from '../../passes/index.ts'

/** What a BatchNormalization remembers of the channels (axis 1) of its input over the training data. */
export interface NormTarget {
  readonly value: Value
  readonly rank: number
  readonly mean: Float64Array
  /** √(variance + ε), as the operator divides by it. */
  readonly std: Float64Array
}

/** Of every BatchNormalization in the main graph whose statistics are constants; types are inferred. */
export function normTargets(model: Model, ops: OpRegistry): NormTarget[] {
  const facts = inferFacts(model, { ops })
  return [...model.graph.nodes].flatMap((node) => {
    const def = node.qualifiedType === 'BatchNormalization' ? ops.of(node) : undefined
    const version = def && versionIn(def, model)
    if (!def || version === undefined) return []
    const cx = inferContext(def, node, version, { facts })
    const [value, mean, variance] = [node.inputs[0], cx.constant(3), cx.constant(4)]
    const rank = value && asTensor(facts.type(value))?.shape?.length
    if (!value || !mean || !variance || !rank) return []
    const { epsilon } = cx.attrs as { epsilon: number }
    const std = Float64Array.from(variance.numbers(), (v) => Math.sqrt(v + epsilon))
    return [{ value, rank, mean: Float64Array.from(mean.numbers()), std }]
  })
}
