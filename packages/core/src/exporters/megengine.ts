import type { QuantParams } from '../quant/index.ts'
import { complete } from './completeness.ts'
import type { Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { every, integers, perTensor } from './holds.ts'
import { type Json, jsonFile, real } from './text.ts'

/** Quantized dtypes by their codes (MegEngine, core/tensor/dtype.py). Signed ones have no zero point. */
const DTYPES: readonly (readonly [name: string, quantMin: number, quantMax: number])[] = [
  ['quint8', 0, 255],
  ['qint8', -128, 127],
  ['qint8_narrow', -127, 127],
  ['quint4', 0, 15],
  ['qint4', -8, 7],
  ['qint1', 0, 1],
  ['qint16', -32768, 32767],
  ['qint32', -(2 ** 31), 2 ** 31 - 1],
]

/**
 * Tensors with MegEngine's names of quantized dtypes, scale and zero point. Its own files are pickled programs; this says in JSON
 * what `set_dtype` and `QuantDtype` of a model written for it need (docs/exporters/megengine.md).
 */
export const megengine: Exporter = {
  name: 'megengine',
  summary: 'quantized dtypes of MegEngine by tensor, as JSON',
  check: (cx) =>
    complete(cx, {
      holds: every(
        integers,
        perTensor,
        (_, params) => dtypeOf(params) !== undefined || 'no dtype has its codes and zero point',
      ),
      oneForm: true,
    }),
  emit(cx) {
    const encodings = [...activationEncodings(cx), ...constantEncodings(cx, 'weight', 'bias')]
    const tensors = new Map(encodings.map(([name, params]) => [name, entry(params)]))
    return [
      floatModel(cx),
      jsonFile(`${cx.name}.dtypes.json`, { format: 'fewbit-megengine-dtypes', version: 1, tensors }),
    ]
  },
}

function dtypeOf({ spec, zeroPoint }: QuantParams): string | undefined {
  const found = DTYPES.find(([, min, max]) => min === spec.quantMin && max === spec.quantMax)?.[0]
  return found?.startsWith('quint') || zeroPoint[0] === 0 ? found : undefined
}

function entry(params: QuantParams): Json {
  const dtype = dtypeOf(params) ?? ''
  const zero = dtype.startsWith('quint') ? { zero_point: params.zeroPoint[0] as number } : {}
  return { dtype, scale: real(params.scale[0] as number), ...zero }
}
