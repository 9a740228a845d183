import type { FakeQuantizers } from '../fake-quantizers/index.ts'
import type { OpRegistry } from '../ops/index.ts'

/** What is known by name. */
export interface QatContext {
  /** With the operators that fake-quantizers are. */
  readonly ops: OpRegistry
  readonly quantizers: FakeQuantizers
}
