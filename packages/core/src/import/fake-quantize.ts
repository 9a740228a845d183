import { asTensor, type Node, type Tensor, type Value } from '../ir/index.ts'
import { intAttribute } from '../passes/node-attributes.ts'
import { type Granularity, perChannel, perTensor, type QuantSpec, quantSpec } from '../quant/index.ts'
import { constantOf, type ImportContext } from './context.ts'
import { identity, type Quantizer } from './quantizer.ts'

export const isFakeQuantize = (node: Node): boolean => node.qualifiedType === 'org.openvinotoolkit::FakeQuantize'

/** Zero lies on a code if low / scale is this near to a whole number; bounds are float32. */
const ON_GRID = 2 ** -12

/**
 * scale = (high − low) / (levels − 1), and zero is code −low / scale above the lowest (OpenVINO, operation FakeQuantize-1). Where zero is in
 * the middle the codes are signed, otherwise unsigned.
 * @returns a sentence instead where a plan cannot hold the node.
 */
export function readFakeQuantize(node: Node, { graph, ids }: ImportContext): Quantizer | string {
  const [low, high, outLow, outHigh] = [1, 2, 3, 4].map((i) => constantOf(node.inputs[i], graph))
  if (!low || !high || !outLow || !outHigh) return 'its bounds are computed while the model runs'
  if (!equal(low, outLow) || !equal(high, outHigh)) return 'it maps its input to another range'
  const steps = intAttribute(node, 'levels', 256) - 1
  const granularity = layoutOf(node, low)
  if (!granularity || low.size !== high.size) return 'its bounds run along more than one axis'
  const [lo, hi] = [low.numbers(), high.numbers()]
  const scale = Array.from(lo, (l, i) => Math.fround(((hi[i] as number) - l) / steps))
  const below = scale.map((s, i) => -(lo[i] as number) / s)
  const zeros = below.map((z) => Math.floor(z + 0.5))
  if (
    below.some((z, i) => !(Math.abs(z - (zeros[i] as number)) < ON_GRID * steps)) ||
    zeros.some((z) => z < 0 || z > steps)
  ) {
    return 'zero is none of its levels'
  }
  const spec = specOf(steps, zeros, granularity)
  const key = `${identity(node.inputs[1] as Value, ids)} ${identity(node.inputs[2] as Value, ids)} ${JSON.stringify(spec)}`
  return { params: { spec, scale, zeroPoint: zeros.map((z) => z + spec.quantMin) }, key }
}

const equal = (a: Tensor, b: Tensor): boolean => {
  const [x, y] = [a.numbers(), b.numbers()]
  return a.size === b.size && x.every((v, i) => v === y[i])
}

/** Bounds broadcast to the tensor from the last axis on. */
function layoutOf(node: Node, bounds: Tensor): Granularity | undefined {
  if (bounds.size === 1) return perTensor()
  const long = bounds.dims.flatMap((d, i) => (d > 1 ? [i] : []))
  const rank = node.inputs[0]?.constant?.dims.length ?? asTensor(node.inputs[0]?.type)?.shape?.length
  return long.length === 1 && rank !== undefined
    ? perChannel((long[0] as number) + rank - bounds.dims.length)
    : undefined
}

function specOf(steps: number, zeros: readonly number[], granularity: Granularity): QuantSpec {
  const bits = Math.ceil(Math.log2(steps + 1))
  const middle = Math.ceil(steps / 2)
  const signed = zeros.every((z) => z === middle)
  const spec = quantSpec({ bits, signed, symmetric: signed }, granularity)
  // Fewer levels than the type holds: 255 are −127 … 127.
  return signed ? { ...spec, quantMin: -middle, quantMax: steps - middle } : { ...spec, quantMax: steps }
}
