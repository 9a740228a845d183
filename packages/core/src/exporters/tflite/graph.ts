import { NamePool } from '../../ir/index.ts'
import type { Order } from './order.ts'
import type { OperatorName, TensorTypeName } from './schema.ts'

/** Scale and zero point of a TFLite tensor; one each, or one for each index along `axis`. */
export interface TfQuantization {
  readonly scale: readonly number[]
  readonly zeroPoint: readonly number[]
  readonly axis: number
}

export interface TfTensor {
  readonly name: string
  readonly type: TensorTypeName
  readonly shape: readonly number[]
  readonly quantization?: TfQuantization
  /** Little-endian elements of a constant. */
  readonly data?: Uint8Array
}

export interface TfOperator {
  readonly type: OperatorName
  /** Version of the kernel that the operator needs. */
  readonly version: number
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** Fields of the option table by their name in `OPERATORS`. */
  readonly options: Readonly<Record<string, number>>
}

/** One TFLite subgraph: tensors by index, operators in order. */
export interface TfGraph {
  readonly name: string
  readonly tensors: readonly TfTensor[]
  readonly operators: readonly TfOperator[]
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

/** A graph that was translated, with the orders of axes that were chosen. */
export interface TranslatedGraph extends TfGraph {
  readonly orders: TfOrders
}

/** How the axes of what stands at both ends are ordered, by the name of the ONNX value. */
export interface TfOrders {
  readonly inputs: Readonly<Record<string, Order>>
  readonly outputs: Readonly<Record<string, Order>>
}

/** Collects tensors and operators. Names are made unique; equal constants of one name are stored once. */
export class TfBuilder {
  readonly tensors: TfTensor[] = []
  readonly operators: TfOperator[] = []
  readonly #names = new NamePool()
  readonly #constants = new Map<string, number>()

  tensor(tensor: TfTensor): number {
    this.tensors.push({ ...tensor, name: this.#names.fresh(tensor.name) })
    return this.tensors.length - 1
  }

  /** A constant, made once for each key. */
  constant(key: string, make: () => TfTensor): number {
    const known = this.#constants.get(key)
    if (known !== undefined) return known
    const made = this.tensor(make())
    this.#constants.set(key, made)
    return made
  }

  /** Numbers that say how to compute: shapes, axes, paddings. */
  integers(name: string, values: readonly number[], shape: readonly number[] = [values.length]): number {
    const data = new Uint8Array(Int32Array.from(values).buffer)
    return this.constant(`int32 ${shape.join()} ${values.join()}`, () => ({ name, type: 'INT32', shape, data }))
  }

  op(
    type: OperatorName,
    inputs: readonly number[],
    outputs: readonly number[],
    options: Readonly<Record<string, number>> = {},
  ): void {
    this.operators.push({ type, version: this.#version(type, inputs, options), inputs, outputs, options })
  }

  /** tensorflow/lite/tools/versioning/op_version.cc: kernels learned int8 in later versions than float. */
  #version(type: OperatorName, inputs: readonly number[], options: Readonly<Record<string, number>>): number {
    const first = this.tensors[inputs[type === 'SPLIT' ? 1 : 0] ?? 0]
    const weight = this.tensors[inputs[1] ?? 0]
    if (options.halfPixelCenters) return 3
    if (type === 'CONV_2D' && weight?.shape[3] !== first?.shape[3]) return 6
    if (type === 'TRANSPOSE' && (first?.shape.length ?? 0) > 4) return 4
    if (type === 'FULLY_CONNECTED' && options.keepNumDims) return 5
    if (first?.type !== 'INT8' || NEVER_LATER.has(type)) return 1
    return INT8_VERSION[type] ?? 2
  }
}

const NEVER_LATER: ReadonlySet<OperatorName> = new Set(['RESHAPE', 'DEPTH_TO_SPACE', 'SPACE_TO_DEPTH', 'HARD_SWISH'])
const INT8_VERSION: Partial<Record<OperatorName, number>> = { CONV_2D: 3, DEPTHWISE_CONV_2D: 3, FULLY_CONNECTED: 4 }
