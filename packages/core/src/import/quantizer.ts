import { asTensor, type Node, type Value } from '../ir/index.ts'
import { intAttribute } from '../passes/node-attributes.ts'
import { type Granularity, perChannel, perGroup, perTensor, type QuantParams, quantSpec } from '../quant/index.ts'
import { type DType, dtypeInfo, integerRange } from '../util/index.ts'
import { constantOf, type ImportContext, isDequantize } from './context.ts'

/** What one QuantizeLinear or DequantizeLinear says of its tensor. */
export interface Quantizer {
  readonly params: QuantParams
  /** Equal for quantizers that read the same parameters in the same way: they stand for one choice of scale. */
  readonly key: string
}

/**
 * Reads scale, zero point and layout (onnx.ai, QuantizeLinear-25 and DequantizeLinear-25). A zero point that is left out is 0, of
 * the type of the codes.
 * @returns a sentence instead where a plan cannot hold the quantizer.
 */
export function readQuantizer(node: Node, { graph, ids }: ImportContext): Quantizer | string {
  const [data, scaleValue, zeroValue] = [node.inputs[0], node.inputs[1], node.inputs[2]]
  const scale = constantOf(scaleValue, graph)
  const zero = constantOf(zeroValue, graph)
  if (!scale || !scaleValue || (zeroValue && !zero)) return 'its scale or zero point is computed while the model runs'
  if (scale.dtype !== 'float32') return `its scale is ${scale.dtype}, and only float32 networks are imported`
  if (intAttribute(node, 'output_dtype', 0) > 1 && isDequantize(node)) return 'its result is not float32'
  const codes = zero?.dtype ?? codesType(node)
  const range = integerRange(codes)
  if (!range) return `its codes are ${codes}`
  const granularity = layoutOf(node, scale.size, rankOf(data))
  const zeroPoint = zero ? Array.from(zero.numbers()) : Array<number>(scale.size).fill(0)
  if (zeroPoint.length !== scale.size) return 'its scale and zero point differ in size'
  const signed = range.min < 0
  const symmetric = signed && zeroPoint.every((z) => z === 0)
  const spec = quantSpec({ bits: dtypeInfo(codes).bits, signed, symmetric }, granularity)
  const id = [scaleValue, zeroValue].map((value) => (value ? identity(value, ids) : '-')).join(' ')
  return { params: { spec, scale: Array.from(scale.numbers()), zeroPoint }, key: `${id} ${JSON.stringify(spec)}` }
}

function codesType(node: Node): DType {
  const value = isDequantize(node) ? node.inputs[0] : node.outputs[0]
  const declared = value?.constant?.dtype ?? asTensor(value?.type)?.dtype
  return declared ?? 'uint8'
}

const rankOf = (value: Value | null | undefined): number | undefined =>
  value?.constant?.dims.length ?? asTensor(value?.type)?.shape?.length

function layoutOf(node: Node, count: number, rank: number | undefined): Granularity {
  const axis = intAttribute(node, 'axis', 1)
  const from0 = axis < 0 && rank !== undefined ? axis + rank : axis
  const block = intAttribute(node, 'block_size', 0)
  if (block > 0) return perGroup(block, from0)
  return count === 1 ? perTensor() : perChannel(from0)
}

export function identity(value: Value, ids: Map<Value, number>): number {
  const known = ids.get(value) ?? ids.size
  ids.set(value, known)
  return known
}

/** True if both map values to the same codes and back. */
export function sameParams(a: QuantParams, b: QuantParams): boolean {
  return (
    JSON.stringify(a.spec) === JSON.stringify(b.spec) &&
    a.scale.length === b.scale.length &&
    a.scale.every((s, i) => s === b.scale[i]) &&
    a.zeroPoint.every((z, i) => z === b.zeroPoint[i])
  )
}
