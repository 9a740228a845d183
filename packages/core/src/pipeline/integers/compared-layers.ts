import type { Grid, IntegerNetwork } from '../../integer/index.ts'
import { graphValues, type Model, type Value } from '../../ir/index.ts'

/** A layer whose codes the engine shows as real values. */
export interface ComparedLayer {
  readonly value: string
  readonly probe: string
  readonly node: string
  readonly opType: string
  readonly grid: Grid
}

/** Layers that somebody dequantizes: the engine's kernels hand codes over inside, and show what they stand for. */
export function comparedLayers({ steps }: IntegerNetwork, model: Model): ComparedLayer[] {
  const present = new Set([...graphValues(model.graph)].map(({ name }) => name))
  return steps.flatMap((step) => {
    if (step.kind !== 'layer' && step.kind !== 'quantize' && step.kind !== 'rescale') return []
    const probe = dequantized(step.makes)
    if (!probe || !step.grid || !present.has(probe.name)) return []
    const [node, opType] =
      step.kind === 'layer' ? [step.node.name, step.node.opType] : [step.makes.name, 'QuantizeLinear']
    return [{ value: step.makes.name, probe: probe.name, node, opType, grid: step.grid }]
  })
}

const dequantized = (codes: Value): Value | undefined =>
  codes.consumers().find(({ opType }) => opType === 'DequantizeLinear')?.outputs[0] ?? undefined
