import type { Node, Tensor, Value } from '../ir/index.ts'

/** Whole numbers that stand for real ones, with their scale and zero point. */
export interface Codes {
  readonly codes: Value
  readonly scale: ArrayLike<number>
  readonly zeroPoint: ArrayLike<number>
  readonly dequantizer: Node
}

/** @returns undefined where the value is not dequantized, or by parameters that are not constant. */
export function codesOf(value: Value | null | undefined): Codes | undefined {
  const dequantizer = value?.producer
  if (dequantizer?.opType === 'Mul') return codesInNodes(dequantizer)
  if (dequantizer?.opType !== 'DequantizeLinear') return undefined
  const [codes, scale, zeroPoint] = dequantizer.inputs
  if (!codes || !scale?.constant || (zeroPoint && !zeroPoint.constant)) return undefined
  const zeros = zeroPoint?.constant?.numbers() ?? new Float64Array(scale.constant.size)
  return { codes, scale: scale.constant.numbers(), zeroPoint: zeros, dequantizer }
}

/**
 * The end of a fake quantizer written as float nodes, (Clip(steps + zero) − zero) · scale: whole numbers less their zero point come
 * before the last product.
 */
function codesInNodes(dequantizer: Node): Codes | undefined {
  const [codes, scale] = dequantizer.inputs
  const clip = codes?.producer?.opType === 'Sub' ? codes.producer.inputs[0]?.producer : undefined
  if (!codes || clip?.opType !== 'Clip' || scale?.constant?.size !== 1) return undefined
  return { codes, scale: scale.constant.numbers(), zeroPoint: [0], dequantizer }
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
  if (quantizer?.opType === 'Div' || quantizer?.opType === 'Mul') return requantizerInNodes(quantizer, clip)
  if (quantizer?.opType !== 'QuantizeLinear') return undefined
  const [, scale, zeroPoint] = quantizer.inputs
  if (scale?.constant?.size !== 1) return undefined
  return { quantizer, scale: scale.constant.numbers()[0] as number, zeroPoint: zeroPoint?.constant ?? undefined, clip }
}

/** A fake quantizer as float nodes takes its input to steps first, by Div or by Mul with 1/scale. */
function requantizerInNodes(quantizer: Node, clip: Node | undefined): Requantizer | undefined {
  const end = quantizer.inputs[1]?.constant?.size === 1 ? endOfNodes(quantizer) : undefined
  const scale = end?.scale[0]
  return scale === undefined ? undefined : { quantizer, scale, zeroPoint: undefined, clip }
}

/** More than the nodes of the longest rounding. */
const LONGEST_CHAIN = 10

/** Where a fake quantizer ends that is written as float nodes and begins with this one. */
export function endOfNodes(head: Node): Codes | undefined {
  let node: Node | undefined = head
  for (let i = 0; node && i < LONGEST_CHAIN; i++) {
    node = node.outputs[0]?.consumers()[0]
    const end = node?.opType === 'Mul' && codesInNodes(node)
    if (end) return end
  }
  return undefined
}

function onlyReader(node: Node): Node | undefined {
  const [output] = node.outputs
  if (output?.useCount !== 1 || node.graph?.isOutput(output)) return undefined
  return output.consumers()[0]
}
