import { FAKE_QUANTIZERS, type FakeQuantizers, qatOps } from '../fake-quantizers/index.ts'
import { defaultOps, type OpRegistry } from '../ops/index.ts'

/** What is known by name. */
export interface QatContext {
  /** With the operators that fake-quantizers are. */
  readonly ops: OpRegistry
  readonly quantizers: FakeQuantizers
}

/** What is known where nobody adds to it, with what somebody does. */
export const standardQat = ({ ops, quantizers = FAKE_QUANTIZERS }: Partial<QatContext> = {}): QatContext => ({
  ops: ops ?? qatOps(defaultOps, quantizers),
  quantizers,
})
