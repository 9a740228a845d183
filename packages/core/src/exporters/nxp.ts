import { type Model, Tensor, valuesByName } from '../ir/index.ts'
import type { QuantParams } from '../quant/index.ts'
import { complete, type Holds } from './completeness.ts'
import type { ExportContext, Exporter } from './define.ts'
import { activationEncodings, constantEncodings } from './encodings.ts'
import { floatModel } from './float-model.ts'
import { activations, bits, every, integers, noGroups, of, perTensor, powersOfTwo, signedSymmetric } from './holds.ts'

/**
 * ONNX for NXP's compiler: beside each tensor `t` stand initializers `t_min` and `t_max`, the ends of its int8 range. PPQ declares
 * them as graph inputs as well, which files of IR version 4 and later need not do (docs/exporters/nxp.md).
 */
export const nxp: Exporter = {
  name: 'nxp',
  summary: 'ONNX with the range of each tensor as initializers _min and _max, for NXP',
  check: (cx) =>
    complete(cx, {
      holds: every(
        integers,
        activations(perTensor),
        of(['activation', 'weight'], noGroups, bits(8), signedSymmetric, powersOfTwo),
        freeNames(cx),
      ),
      oneForm: true,
    }),
  emit(cx) {
    const artifact = floatModel(cx)
    for (const [name, params] of ranges(cx)) addRange(cx.model, name, params)
    return [{ ...artifact, name: `${cx.name}.onnx` }]
  },
}

const ranges = (cx: ExportContext): [string, QuantParams][] => [
  ...activationEncodings(cx),
  ...constantEncodings(cx, 'weight'),
]

function freeNames(cx: ExportContext): Holds {
  const names = valuesByName(cx.model.graph)
  return ({ value }) =>
    !['_min', '_max'].some((end) => names.has(`${value}${end}`)) ||
    'the model has tensors of the names that its range takes'
}

function addRange({ graph }: Model, name: string, { spec, scale }: QuantParams): void {
  const half = 2 ** (spec.bits - 1)
  const dims = spec.granularity.kind === 'tensor' ? [] : [scale.length]
  const end = (steps: number) =>
    Tensor.float32(
      dims,
      Float32Array.from(scale, (s) => s * steps),
    )
  graph.addInitializer(`${name}_min`, end(-half))
  graph.addInitializer(`${name}_max`, end(half - 1))
}
