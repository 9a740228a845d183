import type { Node, Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import type { RuleContext } from '../../passes/index.ts'
import type { ValueMoments } from './value-moments.ts'

/** A node whose inputs are known as far as they can be. */
export interface RuleInput {
  readonly node: Node
  readonly output: Value
  /** Of the inputs that are not constants, in their order. */
  readonly inputs: readonly ValueMoments[]
  readonly ops: OpRegistry
  readonly cx: RuleContext
  readonly deviations: number
}

/** What a node makes of moments; nothing where it does not know. */
export type MomentRule = (input: RuleInput) => ValueMoments | undefined
