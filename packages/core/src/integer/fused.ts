import { attribute, type GraphBuilder, Tensor, type Value } from '../ir/index.ts'

export const FLOAT = { to: attribute.int(1) }
export const DOUBLE = { to: attribute.int(11) }

/**
 * float32(x · factor + addend), rounded once, as a fused multiply-add does: the product of two float32 numbers is exact in float64.
 * @param addend in float32.
 */
export function multiplyAdd(b: GraphBuilder, x: Value, factor: number, addend: Value): Value {
  const product = b.op('Mul', [
    b.op('Cast', [x], DOUBLE),
    b.constant('ratio', Tensor.fromNumbers('float64', [], [factor])),
  ])
  return b.op('Cast', [b.op('Add', [product, b.op('Cast', [addend], DOUBLE)])], FLOAT)
}

export const scalar = (b: GraphBuilder, value: number): Value => b.constant('number', Tensor.float32([], [value]))
