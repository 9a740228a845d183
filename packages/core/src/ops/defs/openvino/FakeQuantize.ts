import { int, string } from '../../attrs.ts'
import { defineOp } from '../../define-op.ts'
import { likeInput } from '../../shared/rules.ts'

/**
 * Rounds to one of `levels` numbers between the bounds, which broadcast to X (OpenVINO, operation FakeQuantize-1). What OpenVINO's
 * reader of ONNX understands beside the standard operators.
 */
export const FakeQuantize = defineOp({
  type: 'FakeQuantize',
  domain: 'org.openvinotoolkit',
  since: [1],
  inputs: ['X', 'input_low', 'input_high', 'output_low', 'output_high'],
  outputs: ['Y'],
  attrs: { levels: int(), auto_broadcast: string('numpy') },
  infer: (cx) => likeInput(cx),
  quant: { roles: ['activation', 'parameter', 'parameter', 'parameter', 'parameter'], traits: ['quantizer'] },
})
