import { attribute, type Model, Tensor, tensorType, type Value } from '@fewbit/core/ir'
import { type DType, dtypeToOnnx, type TypedArray } from '@fewbit/core/util'
import { newModel } from '../models.ts'

/** Two elements of every type that crosses the boundary of an engine, the extremes among them. */
export const BOUNDARY_VALUES = {
  float32: Float32Array.of(1.5, -2),
  float64: Float64Array.of(1.5, -2),
  float16: Uint16Array.of(0x3e00, 0xc000),
  uint8: Uint8Array.of(1, 255),
  int8: Int8Array.of(1, -128),
  uint16: Uint16Array.of(1, 65535),
  int16: Int16Array.of(1, -32768),
  int32: Int32Array.of(1, -2147483648),
  uint32: Uint32Array.of(1, 4294967295),
  int64: BigInt64Array.of(1n, -(2n ** 63n)),
  uint64: BigUint64Array.of(1n, 2n ** 64n - 1n),
  bool: Uint8Array.of(1, 0),
} satisfies Partial<Record<DType, TypedArray>>

/** One node from `x` to `y`, both [N, 2]. `typed: false` leaves the type of `y` to the engine. */
export function unary(
  opType: string,
  from: DType,
  to: DType,
  attributes: Record<string, attribute.Attribute> = {},
  typed = true,
): Model {
  const { model, b } = newModel(21)
  model.irVersion = 10
  const y = b.op(opType, [b.input('x', tensorType(from, ['N', 2]))], attributes, { output: 'y' })
  b.output(y)
  y.type = typed ? tensorType(to, ['N', 2]) : undefined
  return model
}

export const castTo = (to: DType, typed = true): Model =>
  unary('Cast', 'float32', to, { to: attribute.int(dtypeToOnnx(to)) }, typed)

const SCALES = { x: 0.1, w: 0.3, y: 0.7 } as const
const WEIGHT = 7

/** Quantize → dequantize → MatMul with one int8 weight → quantize → dequantize, on [N, 1]. */
export function quantizedProduct(): Model {
  const { model, b } = newModel()
  const scale = (name: keyof typeof SCALES): Value => b.constant(`s${name}`, Tensor.float32([], [SCALES[name]]))
  const zero = b.constant('zero', Tensor.fromStorage('uint8', [], Uint8Array.of(0)))
  const weightZero = b.constant('weight_zero', Tensor.fromStorage('int8', [], Int8Array.of(0)))
  const weight = b.constant('weight', Tensor.fromStorage('int8', [1, 1], Int8Array.of(WEIGHT)))
  const pair = (value: Value, name: 'x' | 'y', output?: string): Value => {
    const codes = b.op('QuantizeLinear', [value, scale(name), zero])
    return b.op('DequantizeLinear', [codes, scale(name), zero], {}, output === undefined ? {} : { output })
  }
  const x = pair(b.input('x', tensorType('float32', ['N', 1])), 'x')
  const product = b.op('MatMul', [x, b.op('DequantizeLinear', [weight, scale('w'), weightZero])])
  b.output(pair(product, 'y', 'y')).type = tensorType('float32', ['N', 1])
  return model
}

const f = Math.fround
const halfEven = (x: number): number => {
  const down = Math.floor(x)
  const rest = x - down
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1
}
const code = (x: number): number => Math.min(255, Math.max(0, halfEven(x)))

/** What `quantizedProduct` gives for the code `a`, as a code: in float32 between quantizers, or by an integer kernel's one factor. */
export function quantizedProductOf(a: number, arithmetic: 'float' | 'integer'): number {
  const [sx, sw, sy] = [f(SCALES.x), f(SCALES.w), f(SCALES.y)]
  if (arithmetic === 'integer') return code(f(a * WEIGHT * f(f(sx * sw) / sy)))
  return code(f(f(f(a * sx) * f(WEIGHT * sw)) / sy))
}

export const quantizedProductScale = f(SCALES.y)
export const quantizedInputScale = f(SCALES.x)
