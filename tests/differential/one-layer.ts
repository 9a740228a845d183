import { compileIntegers, IntegerSession, type Kernels, type Scheme } from '@fewbit/core/integer'
import {
  type Attribute,
  Graph,
  GraphBuilder,
  Model,
  serializeModel,
  Tensor,
  tensorType,
  type Value,
} from '@fewbit/core/ir'
import type { DType } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { runOptimized } from './quantize-small.ts'

export interface GridOf {
  readonly dtype: 'int8' | 'uint8' | 'int16' | 'uint16'
  readonly scale: number
  readonly zero: number
}

const engine = nodeEngine({ threads: 1 })

/** A network of one quantized operator: codes in, codes out. */
export class LayerNet {
  readonly b = new GraphBuilder(new Graph('layer'))
  readonly feeds: Record<string, Tensor> = {}
  readonly #opset: number
  #inputs = 0

  constructor(opset = 17) {
    this.#opset = opset
  }

  #parameters({ dtype, scale, zero }: GridOf): Value[] {
    const at = (name: string, tensor: Tensor) => this.b.constant(name, tensor)
    return [at('scale', Tensor.float32([], [scale])), at('zero', Tensor.fromNumbers(dtype, [], [zero]))]
  }

  /** An activation: real values that are quantized to these codes, as ONNX Runtime wants to see it. */
  data(dims: readonly number[], codes: ArrayLike<number>, grid: GridOf): Value {
    const input = this.b.input(`x${this.#inputs++}`, tensorType('float32', dims))
    const { scale, zero } = grid
    this.feeds[input.name] = Tensor.float32(
      dims,
      Float32Array.from(codes, (code) => (code - zero) * scale),
    )
    const parameters = this.#parameters(grid)
    return this.b.op('DequantizeLinear', [this.b.op('QuantizeLinear', [input, ...parameters]), ...parameters])
  }

  /** Constant codes, with one scale or one for each index along an axis. */
  constant(dtype: DType, dims: readonly number[], codes: ArrayLike<number>, scale: readonly number[], axis = 0): Value {
    const several = scale.length > 1
    const shape = several ? [scale.length] : []
    const inputs = [
      this.b.constant('codes', Tensor.fromNumbers(dtype, dims, codes)),
      this.b.constant('scales', Tensor.float32(shape, scale)),
      ...(dtype === 'int32'
        ? []
        : [
            this.b.constant(
              'zeros',
              Tensor.fromNumbers(
                dtype,
                shape,
                scale.map(() => 0),
              ),
            ),
          ]),
    ]
    const attributes: Record<string, Attribute> = several ? { axis: { kind: 'int', value: BigInt(axis) } } : {}
    return this.b.op('DequantizeLinear', inputs, attributes)
  }

  /** The quantized result, dequantized, as the output `y`: signed codes become unsigned ones inside ONNX Runtime. */
  result(value: Value, grid: GridOf): this {
    const parameters = this.#parameters(grid)
    const y = this.b.op('DequantizeLinear', [this.b.op('QuantizeLinear', [value, ...parameters]), ...parameters])
    y.name = 'y'
    this.b.output(y)
    return this
  }

  model(): Model {
    const model = new Model(this.b.graph)
    model.opsets.set('', this.#opset)
    model.irVersion = 10
    return model
  }

  /** What ONNX Runtime gives, with the operators of the graph that it made. */
  async engineValues(): Promise<{ readonly values: number[]; readonly ops: readonly string[] }> {
    const { ops, outputs } = await runOptimized(serializeModel(this.model()), this.feeds)
    return { values: Array.from(outputs.y?.numbers() ?? []), ops }
  }

  /** What the interpreter gives, without any float operator. */
  async integerValues(scheme: Scheme, kernels?: Kernels): Promise<number[]> {
    const network = compileIntegers(this.model(), scheme)
    const reasons = network.floats.map(({ opType, reason }) => `${opType}: ${reason}`)
    if (reasons.length > 0) throw new Error(reasons.join('; '))
    const session = await IntegerSession.open(network, { engine, ...(kernels && { kernels }) })
    const { outputs } = await session.run(this.feeds)
    return Array.from(outputs.y?.numbers() ?? [])
  }
}
