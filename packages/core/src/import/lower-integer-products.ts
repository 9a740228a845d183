import { type Node, replaceAllUses, Tensor, type Value } from '../ir/index.ts'
import { intAttribute } from '../passes/node-attributes.ts'
import { must } from '../util/index.ts'
import { constantOf, type ImportContext, isQuantize, keep } from './context.ts'
import { Lowering } from './lower.ts'

const FLOAT: Readonly<Record<string, { readonly opType: string; readonly weightAxis: (rank: number) => number }>> = {
  ConvInteger: { opType: 'Conv', weightAxis: () => 0 },
  MatMulInteger: { opType: 'MatMul', weightAxis: (rank) => rank - 1 },
}

/**
 * MatMulInteger or ConvInteger → Cast → Mul with scale(A) · scale(B), as dynamic quantization is written: one product of floats. Where
 * A is quantized by fixed parameters it stays so; by DynamicQuantizeLinear, only B's quantizer is kept.
 */
export function lowerIntegerProduct(node: Node, cx: ImportContext): void {
  const form = FLOAT[node.qualifiedType]
  if (!form) return
  const found = findScaling(node, cx)
  if (typeof found === 'string') {
    keep(node, found, cx)
    return
  }
  const { a, b, mul, cast, aScale, bScale } = found
  const l = new Lowering(mul, cx)
  const left = l.dequantized({ codes: a, scale: aScale, zero: node.inputs[2] ?? null })
  const right = l.dequantized(flatWeight(l, b, bScale, node.inputs[3]), form.weightAxis(b.constant?.dims.length ?? 2))
  const attributes = Object.fromEntries(node.attributes)
  const product = l.op(form.opType, [left, right], attributes)
  replaceAllUses(must(mul.outputs[0], 'output'), product)
  const name = node.name
  for (const gone of [mul, cast, node]) cx.graph.remove(gone)
  must(product.producer, 'product').name = name
}

interface Scaling {
  readonly a: Value
  readonly b: Value
  readonly cast: Node
  readonly mul: Node
  readonly aScale: Value
  readonly bScale: Value
}

function findScaling(node: Node, { graph }: ImportContext): Scaling | string {
  const [a, b] = node.inputs
  const cast = soleReader(node, 'Cast')
  const mul = cast && intAttribute(cast, 'to', 0) === 1 ? soleReader(cast, 'Mul') : undefined
  if (!a || !b || !cast || !mul) return 'no Cast to float and Mul with the scales follow it'
  const aScale = a.producer && scaleBeside(a.producer)
  const factor = mul.inputs.find((value) => value?.producer !== cast)
  const parts = factor?.producer?.opType === 'Mul' ? factor.producer.inputs : []
  const bScale = parts.find((value) => value !== aScale)
  if (!aScale || !bScale || !parts.includes(aScale)) return 'its result is not multiplied by scale(A) · scale(B)'
  if (!constantOf(b, graph) || !constantOf(bScale, graph)) return 'its second operand is computed while the model runs'
  return { a, b, cast, mul, aScale, bScale }
}

/** The scale that a quantizer's codes are meant with. */
const scaleBeside = (node: Node): Value | null | undefined =>
  isQuantize(node) ? node.inputs[1] : node.qualifiedType === 'DynamicQuantizeLinear' ? node.outputs[1] : undefined

function soleReader(node: Node, opType: string): Node | undefined {
  const value = node.outputs[0]
  const [reader, ...others] = value?.consumers() ?? []
  return reader?.qualifiedType === opType && others.length === 0 ? reader : undefined
}

/** Scales come in the shape that Mul broadcasts, [M, 1, 1]; DequantizeLinear wants them in a row. */
function flatWeight(l: Lowering, codes: Value, scale: Value, zero: Value | null | undefined) {
  const flat = (value: Value): Value => {
    const data = must(value.constant, 'constant')
    const dims = data.size === 1 ? [] : [data.size]
    return data.dims.length <= 1 ? value : l.constant(value.name, Tensor.fromNumbers(data.dtype, dims, data.numbers()))
  }
  return { codes, scale: flat(scale), zero: zero ? flat(zero) : null }
}

/** com.microsoft.DynamicQuantizeMatMul: A in float, quantized inside by its own range. */
export function lowerDynamicMatMul(node: Node, cx: ImportContext): void {
  if (node.qualifiedType !== 'com.microsoft::DynamicQuantizeMatMul') return
  const [a, b, scale, zero, bias] = node.inputs
  if (!a || !b || !scale) return
  const text = `"${a.name}" is quantized by each run's own range, which parameters cannot hold; its weights are imported`
  cx.diagnostics.warn('IMPORT_DYNAMIC', text, {
    at: { value: a.name, node: node.name },
    fix: 'calibrate the float model to quantize activations with fixed scales',
  })
  const l = new Lowering(node, cx)
  const right = l.dequantized({ codes: b, scale, zero: zero ?? null }, 1)
  if (!bias) l.replace({ opType: 'MatMul', inputs: [a, right] })
  else l.replace({ opType: 'Add', inputs: [l.op('MatMul', [a, right]), bias] })
}
