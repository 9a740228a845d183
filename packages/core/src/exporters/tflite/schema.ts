/**
 * The parts of TensorFlow Lite's public schema (schema.fbs, version 3) that fewbit writes: codes of operators and of their option
 * tables, and the slot, type and default of each field. Numbers are facts of the format and never change.
 */

export const SCHEMA_VERSION = 3
export const FILE_IDENTIFIER = 'TFL3'

/** Element types (`TensorType`) with their size in bytes. */
export const TENSOR_TYPES = {
  FLOAT32: { code: 0, bytes: 4 },
  INT32: { code: 2, bytes: 4 },
  INT8: { code: 9, bytes: 1 },
} as const

export type TensorTypeName = keyof typeof TENSOR_TYPES

export const PADDING = { SAME: 0, VALID: 1 } as const
export const ACTIVATION = { NONE: 0, RELU: 1, RELU_N1_TO_1: 2, RELU6: 3 } as const

export type ActivationName = keyof typeof ACTIVATION

type FieldType = 'int8' | 'int32' | 'bool' | 'float32'

export interface Field {
  readonly slot: number
  readonly type: FieldType
  readonly default: number
}

export interface OperatorSchema {
  /** `BuiltinOperator` */
  readonly code: number
  /** `BuiltinOptions`: which table the fields stand in; 0: none. */
  readonly options: number
  readonly fields: Readonly<Record<string, Field>>
}

const int8 = (slot: number): Field => ({ slot, type: 'int8', default: 0 })
const int32 = (slot: number, value = 0): Field => ({ slot, type: 'int32', default: value })
const bool = (slot: number): Field => ({ slot, type: 'bool', default: 0 })
const float32 = (slot: number): Field => ({ slot, type: 'float32', default: 0 })

const operator = (code: number, options = 0, fields: Readonly<Record<string, Field>> = {}): OperatorSchema => ({
  code,
  options,
  fields,
})

const activation = { activation: int8(0) }
const pool = {
  padding: int8(0),
  strideW: int32(1),
  strideH: int32(2),
  filterW: int32(3),
  filterH: int32(4),
  activation: int8(5),
}

/** Operators by their `BuiltinOperator` name. */
export const OPERATORS = {
  ADD: operator(0, 11, activation),
  AVERAGE_POOL_2D: operator(1, 5, pool),
  CONCATENATION: operator(2, 10, { axis: int32(0), activation: int8(1) }),
  CONV_2D: operator(3, 1, {
    padding: int8(0),
    strideW: int32(1),
    strideH: int32(2),
    activation: int8(3),
    dilationW: int32(4, 1),
    dilationH: int32(5, 1),
  }),
  DEPTHWISE_CONV_2D: operator(4, 2, {
    padding: int8(0),
    strideW: int32(1),
    strideH: int32(2),
    depthMultiplier: int32(3),
    activation: int8(4),
    dilationW: int32(5, 1),
    dilationH: int32(6, 1),
  }),
  DEPTH_TO_SPACE: operator(5, 94, { blockSize: int32(0) }),
  DEQUANTIZE: operator(6, 38),
  FULLY_CONNECTED: operator(9, 8, { activation: int8(0), keepNumDims: bool(2) }),
  LOGISTIC: operator(14),
  MAX_POOL_2D: operator(17, 5, pool),
  MUL: operator(18, 21, activation),
  RELU: operator(19),
  RELU6: operator(21),
  RESHAPE: operator(22, 17),
  RESIZE_BILINEAR: operator(23, 15, { alignCorners: bool(2), halfPixelCenters: bool(3) }),
  SOFTMAX: operator(25, 9, { beta: float32(0) }),
  SPACE_TO_DEPTH: operator(26, 19, { blockSize: int32(0) }),
  TANH: operator(28),
  PAD: operator(34, 22),
  GATHER: operator(36, 23, { axis: int32(0) }),
  TRANSPOSE: operator(39, 26),
  MEAN: operator(40, 27, { keepDims: bool(0) }),
  SUB: operator(41, 28, activation),
  STRIDED_SLICE: operator(45, 32, { shrinkAxisMask: int32(4) }),
  SPLIT: operator(49, 35, { numSplits: int32(0) }),
  MAXIMUM: operator(55, 39),
  MINIMUM: operator(57, 39),
  PADV2: operator(60, 43),
  RESIZE_NEAREST_NEIGHBOR: operator(97, 74, { alignCorners: bool(0), halfPixelCenters: bool(1) }),
  LEAKY_RELU: operator(98, 75, { alpha: float32(0) }),
  SPLIT_V: operator(102, 79, { numSplits: int32(0) }),
  QUANTIZE: operator(114, 89),
  HARD_SWISH: operator(117, 91),
} as const satisfies Record<string, OperatorSchema>

export type OperatorName = keyof typeof OPERATORS
