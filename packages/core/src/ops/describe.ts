import type { OpDef } from './define-op.ts'
import type { OpRegistry } from './registry.ts'

/** What fewbit knows of one operator. JSON. */
export interface OpDescription {
  /** Empty for ai.onnx. */
  readonly domain: string
  readonly type: string
  /** Opsets in which the definition changed. */
  readonly versions: readonly number[]
  /** The opset that took it away. */
  readonly deprecated?: number
  /** Types and shapes of outputs are inferred. */
  readonly shapes: boolean
  /** Small results of shape arithmetic are computed. */
  readonly values: boolean
  /** Multiply-accumulates are counted. */
  readonly macs: boolean
  /** It can be differentiated, by all inputs that are floats. */
  readonly gradient: boolean
  /** How quantization sees each input, the last role repeating where inputs are variadic. */
  readonly roles: readonly string[]
  readonly traits: readonly string[]
}

/** All operators, by domain and type in alphabetical order. */
export function describeOps(ops: OpRegistry): OpDescription[] {
  const key = ({ domain, type }: OpDef) => `${domain}::${type}`
  return [...ops].sort((a, b) => (key(a) < key(b) ? -1 : 1)).map(describeOp)
}

function describeOp(def: OpDef): OpDescription {
  const { domain, type, since, deprecated, quant } = def
  const range = quant.fixedRange ? [`range ${quant.fixedRange.join('…')}`] : []
  return {
    domain,
    type,
    versions: since,
    ...(deprecated === undefined ? {} : { deprecated }),
    shapes: def.infer !== undefined,
    values: def.elements !== undefined || def.constant !== undefined,
    macs: def.macs !== undefined,
    gradient: def.grad !== undefined,
    roles: quant.roles ?? [],
    traits: [...(quant.traits ?? []), ...range],
  }
}
