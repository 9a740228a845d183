import { asTensor, GraphBuilder, type Node, replaceAllUses, Tensor, type Value } from '../ir/index.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../passes/index.ts'
import { must } from '../util/index.ts'
import { DOUBLE, FLOAT, scalar } from './fused.ts'
import { activationCodes, type Codes, requantizerOf } from './quantizers.ts'
import { onUnitScale } from './unit-scale.ts'

/**
 * Where means of codes land that lie halfway. `half-even`: on the even multiple of the scale (FBGEMM). `half-toward-zero`: on the
 * smaller multiple (QNNPACK). `half-away`: on the code farther from code 0 (TensorFlow Lite, which divides sums of codes).
 */
export type PoolTies = 'half-even' | 'half-away' | 'half-toward-zero'

/**
 * Rewrites an average whose result stays on the grid of its input. The mean of n codes is a multiple of 1/n: where n is even, one in n is
 * a tie, which real values in float32 miss to either side.
 */
export function averageOnCodes(node: Node, ties: PoolTies): void {
  const x = activationCodes(node.inputs[0])
  const requantizer = requantizerOf(node)
  if (!x || !requantizer || requantizer.clip || x.scale[0] !== requantizer.scale) return
  const zero = x.zeroPoint[0] as number
  if ((requantizer.zeroPoint?.numbers()[0] ?? 0) !== zero) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const attributes = Object.fromEntries(node.attributes)
  const mean = b.op(node.opType, [centred(b, x, zero), ...node.inputs.slice(1)], attributes, { name: node.name })
  replaceAllUses(must(node.outputs[0], 'output'), rounded(b, mean, ties, zero))
  onUnitScale(requantizer, b)
}

/** Fraction bits of the factor 1/n. */
const FRACTION = 24
/** Kernels with unsigned codes shift signed ones by this much. */
const SHIFT = 128

/**
 * Rewrites an average on the grid of its input as MNN's kernel computes it: ⌊Σ(code + 128) · ⌊2²⁴/n⌋ / 2²⁴⌋ − 128, which lies up to one code
 * below the mean. Averages over padding are left as they are.
 */
export function flooredAverage(node: Node): void {
  const x = activationCodes(node.inputs[0])
  const requantizer = requantizerOf(node)
  const count = elementsOf(node)
  if (!x || !requantizer || !count || x.scale[0] !== requantizer.scale) return
  const b = new GraphBuilder(must(node.graph, 'graph'), { before: node })
  const shifted = b.op('Add', [b.op('Cast', [x.codes], FLOAT), scalar(b, SHIFT)])
  const mean = b.op(node.opType, [shifted], Object.fromEntries(node.attributes), { name: node.name })
  const sum = b.op('Round', [b.op('Mul', [mean, scalar(b, count)])])
  const factor = Math.floor(2 ** FRACTION / count) / 2 ** FRACTION
  const product = b.op('Mul', [
    b.op('Cast', [sum], DOUBLE),
    b.constant('factor', Tensor.fromNumbers('float64', [], [factor])),
  ])
  const floor = b.op('Cast', [b.op('Floor', [product])], FLOAT)
  replaceAllUses(must(node.outputs[0], 'output'), b.op('Sub', [floor, scalar(b, SHIFT)]))
  onUnitScale(requantizer, b)
}

/** How many elements each mean is taken of; undefined where it depends on the place, or on a shape that is not known. */
function elementsOf(node: Node): number | undefined {
  const isGlobal = node.opType === 'GlobalAveragePool'
  const dims = isGlobal ? asTensor(node.inputs[0]?.type)?.shape?.slice(2) : intsAttribute(node, 'kernel_shape')
  const isPadded =
    intsAttribute(node, 'pads')?.some((p) => p !== 0) || intAttribute(node, 'ceil_mode', 0) === 1 || isSame(node)
  if (isPadded || !dims?.every((d) => typeof d === 'number')) return undefined
  return (dims as readonly number[]).reduce((n, d) => n * d, 1)
}

const isSame = (node: Node): boolean => stringAttribute(node, 'auto_pad', 'NOTSET').startsWith('SAME')

const centred = (b: GraphBuilder, { codes }: Codes, zero: number): Value =>
  b.op('Sub', [b.op('Cast', [codes], FLOAT), scalar(b, zero)])

/** Rounded already, but for `half-even`, which the quantizer does. */
function rounded(b: GraphBuilder, mean: Value, ties: PoolTies, zero: number): Value {
  if (ties === 'half-even') return mean
  if (ties === 'half-toward-zero')
    return withSign(b, mean, (size) => b.op('Ceil', [b.op('Sub', [size, scalar(b, 0.5)])]))
  const code = b.op('Add', [mean, scalar(b, zero)])
  const away = withSign(b, code, (size) => b.op('Floor', [b.op('Add', [size, scalar(b, 0.5)])]))
  return b.op('Sub', [away, scalar(b, zero)])
}

const withSign = (b: GraphBuilder, x: Value, round: (size: Value) => Value): Value =>
  b.op('Mul', [b.op('Sign', [x]), round(b.op('Abs', [x]))])
