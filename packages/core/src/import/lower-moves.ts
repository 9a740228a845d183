import { asTensor, type Node, type Tensor, Value } from '../ir/index.ts'
import type { Trait } from '../ops/index.ts'
import { intAttribute } from '../passes/node-attributes.ts'
import { addOp, constantOf, type ImportContext, plainName } from './context.ts'
import { isQuantize } from './quantizer.ts'

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
}

const quantizerOf = (value: Value | null | undefined): Node | undefined =>
  value?.producer && isQuantize(value.producer) ? value.producer : undefined

function joinBehind(node: Node, first: Node, cx: ImportContext): void {
  const quantizers = node.inputs.map(quantizerOf)
  const alike = quantizers.every((q) => q && sameData(q, first, 1, cx) && sameData(q, first, 2, cx))
  if (alike) moveBehind(node, first, [...node.inputs.keys()], cx)
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
    const real = new Value(cx.names.value(plainName(output.name)))
    node.setOutput(i, real)
    addOp(cx, { after: node }, 'QuantizeLinear', [real, ...parameters], { output })
  })
}
