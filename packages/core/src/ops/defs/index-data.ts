import type { OpDef } from '../define-op.ts'

/** Shapes, data movement, control flow, recurrent, quantization and com.microsoft operators. */
export const DATA_OPS: readonly OpDef[] = []
