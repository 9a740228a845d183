import {
  type Attribute,
  asTensor,
  attribute,
  type Graph,
  insertOn,
  Node,
  replaceUses,
  Tensor,
  tensorType,
  UniqueNames,
  type Use,
  Value,
} from '../ir/index.ts'
import { type DType, dtypeInfo, isMinifloat, minifloatTable, must, problem } from '../util/index.ts'
import { coveredRange } from './affine.ts'
import { type Codes, fakeQuantize, quantize, roundingNoise } from './fake-quantize.ts'
import { broadcastable, fakeQuantizeGraph } from './fake-quantize-graph.ts'
import { endsEarly } from './form.ts'
import { isBinary } from './formats/index.ts'
import type { TensorPlan } from './plan.ts'
import type { QuantParams, QuantSpec } from './spec.ts'

/** A tensor of the plan and where it is in the graph. */
export interface QuantSite {
  readonly tensor: TensorPlan
  readonly params: QuantParams
  readonly value: Value
  /** The planned readers. */
  readonly uses: readonly Use[]
}

/** Name of what readers of a quantized value see, where nobody else has it. */
export const dequantizedName = (value: string): string => `${value}_dequantized`

/** Writes quantized tensors into a graph, in the forms that there are of activations and of constants. */
export class QuantWriter {
  readonly #graph: Graph
  readonly #names: UniqueNames
  readonly #seed: number
  readonly #shared = new Map<string, Value[]>()

  constructor(graph: Graph, seed: number) {
    this.#graph = graph
    this.#names = new UniqueNames(graph)
    this.#seed = seed
  }

  /** An activation through QuantizeLinear and DequantizeLinear. */
  pair(site: QuantSite, dtype: DType): void {
    const { tensor, params, value } = site
    const shape = asTensor(value.type)?.shape
    const parameters = this.#parameters(site, dtype, shape)
    const clip = this.#clip(site, dtype)
    const codes = new Value(this.#names.value(`${value.name}_quantized`), tensorType(dtype, shape))
    const axis = layout(params.spec)
    const chain = [
      ...clip,
      this.#node('QuantizeLinear', value.name, [clip.at(-1)?.outputs[0] ?? value, ...parameters], codes, axis),
      this.#node('DequantizeLinear', value.name, [codes, ...parameters], this.#dequantized(value), axis),
    ]
    insertOn(value, chain, { uses: site.uses, output: tensor.graphOutput === true })
  }

  /** An activation through ordinary nodes. */
  nodes({ tensor, params, value, uses }: QuantSite): void {
    const chain: Node[] = []
    const shape = asTensor(value.type)?.shape
    const op = (
      type: string,
      inputs: readonly Value[],
      attributes: Readonly<Record<string, Attribute>> = {},
    ): Value => {
      const output = new Value(this.#names.value(`${value.name}_${type}`))
      chain.push(this.#node(type, value.name, inputs, output, Object.entries(attributes)))
      return output
    }
    const constant = (name: string, data: Tensor) => this.#initializer(name, data)
    const noise = params.spec.rounding === 'stochastic' ? { noise: this.#noise(value, shape) } : {}
    const real = fakeQuantizeGraph({ op, constant }, value, params, { name: value.name, shape, ...noise })
    real.name = this.#names.value(dequantizedName(value.name))
    real.type = value.type
    insertOn(value, chain, { uses, output: tensor.graphOutput === true })
  }

  /** A constant as codes behind DequantizeLinear. */
  codes(site: QuantSite, dtype: DType): void {
    const { tensor, params, value } = site
    const data = must(value.constant, `constant "${value.name}"`)
    const codes = quantize(data.numbers(), params, data.dims, this.#noiseOf(site, data.size))
    const integers = isBinary(params.spec.format) ? Int8Array.from(codes, (code) => (code === 0 ? -1 : 1)) : codes
    const stored = this.#initializer(`${value.name}_quantized`, codesTensor(integers, data.dims, dtype))
    const real = this.#dequantized(value)
    const inputs = [stored, ...this.#parameters(site, dtype, data.dims)]
    const node = this.#node('DequantizeLinear', tensor.group, inputs, real, layout(params.spec))
    const { first } = this.#graph.nodes
    this.#graph.add(node, first ? { before: first } : {})
    replaceUses(site.uses, real)
  }

  /** A constant as the float numbers that its codes stand for. */
  rounded(site: QuantSite): void {
    const { params, value, uses } = site
    const data = must(value.constant, `constant "${value.name}"`)
    const numbers = fakeQuantize(data.numbers(), params, data.dims, this.#noiseOf(site, data.size))
    replaceUses(uses, this.#initializer(dequantizedName(value.name), Tensor.float32(data.dims, numbers)))
  }

  /**
   * QuantizeLinear clips at the limits of its type only. Codes that end earlier are clipped as values: what lies beyond the outermost
   * code's value goes to that value, and so to that code; what lies within keeps its code, rounding being monotone.
   */
  #clip({ tensor: { group }, params, value }: QuantSite, dtype: DType): Node[] {
    const { spec } = params
    if (!endsEarly(spec, dtype)) return []
    const ranges = params.scale.map((scale, i) => coveredRange({ scale, zeroPoint: params.zeroPoint[i] ?? 0 }, spec))
    const bounds = this.#once(`${group} bounds`, () => {
      const shape = asTensor(value.type)?.shape
      const bound = (end: 'lo' | 'hi') =>
        broadcastable(
          ranges.map((r) => Math.fround(r[end])),
          spec.granularity,
          shape,
          group,
        )
      return [this.#initializer(`${group}_lowest`, bound('lo')), this.#initializer(`${group}_highest`, bound('hi'))]
    })
    const clipped = new Value(this.#names.value(`${value.name}_clipped`), value.type)
    if (spec.granularity.kind === 'tensor') return [this.#node('Clip', value.name, [value, ...bounds], clipped)]
    const [lowest, highest] = bounds as [Value, Value]
    const raised = new Value(this.#names.value(`${value.name}_raised`), value.type)
    return [
      this.#node('Max', value.name, [value, lowest], raised),
      this.#node('Min', value.name, [raised, highest], clipped),
    ]
  }

  /** Scale and zero point, stored once for each group. The zero point of int32 is 0 by definition and is left out. */
  #parameters({ tensor: { group }, params }: QuantSite, dtype: DType, shape: readonly unknown[] | undefined): Value[] {
    return this.#once(group, () => {
      const dims = parameterDims(params, shape)
      const scale = this.#initializer(`${group}_scale`, Tensor.float32(dims, params.scale))
      if (dtype === 'int32') return [scale]
      return [scale, this.#initializer(`${group}_zero_point`, Tensor.fromNumbers(dtype, dims, params.zeroPoint))]
    })
  }

  /** The same noise for each sample of a batch. */
  #noise(value: Value, shape: readonly unknown[] | undefined): Value {
    const dims = shape?.slice(1)
    if (!dims?.every((d) => typeof d === 'number')) {
      throw problem('QUANT_SHAPE', `"${value.name}" is rounded stochastically and has no fixed shape`, {
        at: { value: value.name },
      })
    }
    const size = dims.reduce((n, d) => n * d, 1)
    const noise = Tensor.float32(dims, roundingNoise(value.name, size, this.#seed))
    return this.#initializer(`${value.name}_noise`, noise)
  }

  #noiseOf({ params, value }: QuantSite, size: number): Float32Array | undefined {
    return params.spec.rounding === 'stochastic' ? roundingNoise(value.name, size, this.#seed) : undefined
  }

  #dequantized(value: Value): Value {
    return new Value(this.#names.value(dequantizedName(value.name)), value.type)
  }

  #once(key: string, make: () => Value[]): Value[] {
    const values = this.#shared.get(key) ?? make()
    this.#shared.set(key, values)
    return values
  }

  #initializer(name: string, constant: Tensor): Value {
    return this.#graph.addInitializer(this.#names.value(name), constant)
  }

  #node(
    opType: string,
    base: string,
    inputs: readonly Value[],
    output: Value,
    attributes: readonly (readonly [string, Attribute])[] = [],
  ): Node {
    const name = this.#names.node(`${base}_${opType}`)
    return new Node({ opType, name, inputs: [...inputs], outputs: [output], attributes })
  }
}

/** A scalar per tensor, a vector per channel, blocks counted along their axis per group. */
function parameterDims({ spec, scale }: QuantParams, shape: readonly unknown[] = []): readonly number[] {
  const { granularity } = spec
  if (granularity.kind === 'tensor') return []
  if (granularity.kind === 'channel') return [scale.length]
  return shape.map((d, axis) => (axis === granularity.axis ? Math.ceil(Number(d) / granularity.size) : Number(d)))
}

function layout({ granularity }: QuantSpec): [string, Attribute][] {
  if (granularity.kind === 'tensor') return []
  const axis: [string, Attribute] = ['axis', attribute.int(granularity.axis)]
  return granularity.kind === 'channel' ? [axis] : [axis, ['block_size', attribute.int(granularity.size)]]
}

/** Sub-byte codes are packed. */
function codesTensor(codes: Codes, dims: readonly number[], dtype: DType): Tensor {
  if (dtypeInfo(dtype).bits >= 8) return Tensor.fromStorage(dtype, dims, codes)
  if (!isMinifloat(dtype)) return Tensor.fromNumbers(dtype, dims, codes)
  const table = minifloatTable(dtype)
  return Tensor.fromNumbers(
    dtype,
    dims,
    Float32Array.from(codes, (code) => table[code] as number),
  )
}
