import { tensorType } from '../../ir/index.ts'
import { defineOp } from '../define-op.ts'

export const DynamicQuantizeLinear = defineOp({
  type: 'DynamicQuantizeLinear',
  since: [11],
  inputs: ['x'],
  outputs: ['y', 'y_scale', 'y_zero_point'],
  infer: (cx) => [tensorType('uint8', cx.input(0)?.shape), tensorType('float32', []), tensorType('uint8', [])],
  quant: { roles: ['activation'], traits: ['quantizer'] },
})
