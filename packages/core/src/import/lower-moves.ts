import { asTensor, type Node, Tensor, Value } from '../ir/index.ts'
import type { Trait } from '../ops/index.ts'
import { intAttribute } from '../passes/node-attributes.ts'
import type { QuantParams } from '../quant/index.ts'
import { addOp, constantOf, type ImportContext, isQuantize, realName } from './context.ts'
import { Lowering } from './lower.ts'
import { readQuantizer } from './quantizer.ts'

/**
 * Operators that move codes without looking at them (MaxPool, Reshape, Concat on one scale): the same on real values, with the
 * quantizer behind it. `after(before(x))` is equal either way, because the codes of an element go with it.
 */
export function lowerMove(node: Node, cx: ImportContext): void {
  const traits = cx.ops.of(node)?.quant.traits ?? []
  const has = (trait: Trait) => traits.includes(trait)
  const quantize = quantizerOf(node.inputs[0])
  if (!quantize) return
  if (has('shape-source')) node.setInput(0, quantize.inputs[0] ?? null)
  else if (has('scale-preserving') || has('identity')) moveBehind(node, quantize, [0], cx)
  else if (has('same-scale-inputs')) joinBehind(node, quantize, cx)
  else if (node.qualifiedType === 'Clip') clipBehind(node, quantize, cx)
}

const quantizerOf = (value: Value | null | undefined): Node | undefined =>
  value?.producer && isQuantize(value.producer) ? value.producer : undefined

function joinBehind(node: Node, first: Node, cx: ImportContext): void {
  const quantizers = node.inputs.map(quantizerOf)
  const alike = quantizers.every((q) => q && sameData(q, first, 1, cx) && sameData(q, first, 2, cx))
  if (alike) moveBehind(node, first, [...node.inputs.keys()], cx)
}

/**
 * A Clip of codes is a Clip of the values that they stand for, because quantization is monotone; at the code of zero it is a Relu. Where
 * nothing else reads the codes it may come first, and the quantizer behind it is then the only one.
 */
function clipBehind(node: Node, quantize: Node, cx: ImportContext): void {
  const found = readQuantizer(quantize, cx)
  const bounds = [1, 2].map((i) => (node.inputs[i] ? constantOf(node.inputs[i], cx.graph) : null))
  const [codes, scale, zero] = [node.inputs[0], quantize.inputs[1], quantize.inputs[2] ?? null]
  if (typeof found === 'string' || found.params.scale.length !== 1 || bounds.includes(undefined) || !codes || !scale)
    return
  const l = new Lowering(node, cx)
  const isAlone = codes.useCount === 1 && !cx.graph.isOutput(codes)
  const x = isAlone ? (quantize.inputs[0] as Value) : l.dequantized({ codes, scale, zero })
  const [lo, hi] = bounds.map((bound) => realBound(bound?.numbers()[0], found.params))
  const limit = (value: number | undefined, name: string) =>
    value === undefined ? null : l.constant(`${node.name}_${name}`, Tensor.float32([], [value]))
  const isRelu = lo === 0 && hi === undefined
  const inputs = isRelu ? [x] : [x, limit(lo, 'min'), limit(hi, 'max')]
  l.replace({ opType: isRelu ? 'Relu' : 'Clip', inputs, out: { scale, zero } })
}

/** What a bound on codes means; undefined where it is the end of the codes anyway. */
function realBound(code: number | undefined, { spec, scale, zeroPoint }: QuantParams): number | undefined {
  if (code === undefined || code === spec.quantMin || code === spec.quantMax) return undefined
  return (code - (zeroPoint[0] as number)) * (scale[0] as number)
}

/** True if input `i` of both is the same constant, or missing in both. */
function sameData(a: Node, b: Node, i: number, { graph }: ImportContext): boolean {
  if ((a.inputs[i] ?? null) === (b.inputs[i] ?? null)) return true
  const [x, y] = [constantOf(a.inputs[i], graph), constantOf(b.inputs[i], graph)]
  return x !== undefined && y !== undefined && x.dtype === y.dtype && equal(x, y)
}

const equal = (x: Tensor, y: Tensor): boolean => {
  const [a, b] = [x.numbers(), y.numbers()]
  return a.length === b.length && a.every((v, i) => v === b[i])
}

function moveBehind(node: Node, quantize: Node, positions: readonly number[], cx: ImportContext): void {
  const { graph } = cx
  const parameters = quantize.inputs.slice(1)
  const scale = constantOf(quantize.inputs[1], graph)
  if (scale?.size !== 1 || intAttribute(quantize, 'block_size', 0) > 0) return
  const codes = asTensor(node.inputs[0]?.type)?.dtype
  for (const i of positions) {
    const from = node.inputs[i] as Value
    node.setInput(i, addOp(cx, { before: node }, 'DequantizeLinear', [from, ...parameters]))
  }
  node.outputs.forEach((output, i) => {
    if (!output || asTensor(output.type)?.dtype !== codes) return
    const real = new Value(realName(output, cx))
    node.setOutput(i, real)
    addOp(cx, { after: node }, 'QuantizeLinear', [real, ...parameters], { output })
  })
}
