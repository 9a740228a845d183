import type { Node, Tensor, Value } from '../ir/index.ts'

/** The codes behind a DequantizeLinear, with their scale and zero point. */
export interface Codes {
  readonly codes: Value
  readonly scale: ArrayLike<number>
  readonly zeroPoint: ArrayLike<number>
  readonly dequantizer: Node
}

/** @returns undefined where the value is not dequantized, or by parameters that are not constant. */
export function codesOf(value: Value | null | undefined): Codes | undefined {
  const dequantizer = value?.producer
  if (dequantizer?.opType !== 'DequantizeLinear') return undefined
  const [codes, scale, zeroPoint] = dequantizer.inputs
  if (!codes || !scale?.constant || (zeroPoint && !zeroPoint.constant)) return undefined
  const zeros = zeroPoint?.constant?.numbers() ?? new Float64Array(scale.constant.size)
  return { codes, scale: scale.constant.numbers(), zeroPoint: zeros, dequantizer }
}

/** An activation with one scale: what kernels take as their data. */
export function activationCodes(value: Value | null | undefined): Codes | undefined {
  const found = codesOf(value)
  return found && !found.codes.constant && found.scale.length === 1 ? found : undefined
}

/** What requantizes the result of a node, and the Relu or Clip between them. */
export interface Requantizer {
  readonly quantizer: Node
  readonly scale: number
  readonly zeroPoint: Tensor | undefined
  readonly clip: Node | undefined
}

/** @returns undefined where somebody sees the result before it is quantized. */
export function requantizerOf(node: Node): Requantizer | undefined {
  const next = onlyReader(node)
  const clip = next && ['Relu', 'Clip'].includes(next.opType) ? next : undefined
  const quantizer = clip ? onlyReader(clip) : next
  if (quantizer?.opType !== 'QuantizeLinear') return undefined
  const [, scale, zeroPoint] = quantizer.inputs
  if (scale?.constant?.size !== 1) return undefined
  return { quantizer, scale: scale.constant.numbers()[0] as number, zeroPoint: zeroPoint?.constant ?? undefined, clip }
}

function onlyReader(node: Node): Node | undefined {
  const [output] = node.outputs
  if (output?.useCount !== 1 || node.graph?.isOutput(output)) return undefined
  return output.consumers()[0]
}
