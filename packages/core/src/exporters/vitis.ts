import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { bits, every, integers, perTensor, powersOfTwo, signedSymmetric } from './holds.ts'
import { jsonFile, real } from './text.ts'

/**
 * MQBench's scales for Vitis AI's DPU: a power of two for each activation, weight and bias, which its `convert_xir` turns into fix
 * positions, −log2 of the scale (docs/exporters/vitis.md).
 */
export const vitis: Exporter = {
  name: 'vitis',
  summary: 'Vitis AI scales JSON, in the layout of MQBench',
  check: (cx) =>
    complete(cx, { holds: every(integers, perTensor, bits(8), signedSymmetric, powersOfTwo), oneForm: true }),
  emit(cx) {
    const encodings = [...activationEncodings(cx), ...constantEncodings(cx, 'weight', 'bias')]
    const scales = encodings.map(([name, { scale }]) => [name, { scale: real(scale[0] as number) }] as const)
    return [floatModel(cx), jsonFile(`${cx.name}.clip-ranges.json`, { vitis: new Map(scales) })]
  },
}
