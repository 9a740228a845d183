import type { OpDef } from '../define-op.ts'

/** Network arithmetic: convolutions, products, pooling, normalization, activations, elementwise, reductions, signal. */
export const NN_OPS: readonly OpDef[] = []
