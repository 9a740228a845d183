import {
  type Attribute,
  asTensor,
  attribute,
  type Graph,
  insertOn,
  type Model,
  Node,
  removeUnusedInitializers,
  replaceUses,
  Tensor,
  tensorType,
  UniqueNames,
  type Use,
  Value,
  valuesByName,
} from '../ir/index.ts'
import { type DType, dtypeInfo, integerRange, must, problem } from '../util/index.ts'
import { coveredRange } from './affine.ts'
import { type Codes, quantize } from './fake-quantize.ts'
import type { ParamsTable, QuantPlan, TensorPlan } from './plan.ts'
import { powerOfTwo } from './power-of-two.ts'
import { type QuantParams, type QuantSpec, storageDType } from './spec.ts'

/** The lowest opset whose QuantizeLinear and DequantizeLinear can say what the plan wants. */
export function requiredOpset(plan: QuantPlan): number {
  return Math.max(13, ...plan.tensors.map((t) => opsetFor(t.spec)))
}

/** Scales along an axis: 13. Types of 4 and 16 bits and blocks: 21. Types of 2 bits: 25. */
function opsetFor(spec: QuantSpec): number {
  const { bits } = dtypeInfo(storageDType(spec))
  if (bits === 2) return 25
  return bits === 4 || bits === 16 || spec.granularity.kind === 'group' ? 21 : 13
}

/**
 * Writes a plan into the graph, in place: constants become integers behind DequantizeLinear, activations pass through a pair of
 * QuantizeLinear and DequantizeLinear that the planned readers read. Names of graph inputs and outputs stay.
 * @param params for every group of the plan, as `resolveParams` returns them.
 * @throws FewbitError MATERIALIZE_OPSET if the model's opset cannot express the plan, MATERIALIZE_FORM if QuantizeLinear cannot.
 */
export function materialize(model: Model, plan: QuantPlan, params: ParamsTable): Model {
  const needed = requiredOpset(plan)
  if (plan.tensors.length > 0 && model.opset() < needed) {
    throw problem('MATERIALIZE_OPSET', `the plan needs opset ${needed}, and the model has ${model.opset()}`, {
      fix: `convert the model to opset ${needed} first`,
    })
  }
  const writer = new QdqWriter(model.graph, params)
  const values = valuesByName(model.graph)
  for (const tensor of plan.tensors) {
    const value = must(values.get(tensor.value), `value "${tensor.value}"`)
    const readers = new Set(tensor.readers)
    const uses = value.uses().filter((use) => readers.has(use.node.name))
    if (tensor.role === 'activation') writer.activation(tensor, value, uses)
    else writer.constant(tensor, value, uses)
  }
  removeUnusedInitializers(model)
  return model
}

/** ONNX's QuantizeLinear divides, rounds half to even, and adds the zero point then. */
function refuseUnlessExact({ value, spec }: TensorPlan, params: QuantParams): void {
  const obstacle = qdqObstacle(spec, params)
  if (!obstacle) return
  throw problem('MATERIALIZE_FORM', `QuantizeLinear cannot say how "${value}" is quantized: ${obstacle}`, {
    at: { value },
    fix: 'write the model for simulation, or in a form of the backend itself',
  })
}

/**
 * Why QuantizeLinear does not compute what a spec says; undefined where it does. The reciprocal of a power of two is exact, and a zero
 * point of 0 can be added at any time.
 */
export function qdqObstacle(spec: QuantSpec, { scale, zeroPoint }: QuantParams): string | undefined {
  if (spec.rounding && spec.rounding !== 'half-even') return `it rounds ${spec.rounding}`
  if (spec.reciprocal && scale.some((s) => s !== powerOfTwo(s, 'floor')))
    return 'it multiplies by the reciprocal of the scale'
  if (spec.addThenRound && zeroPoint.some((z) => z !== 0)) return 'it adds the zero point before rounding'
  return undefined
}

class QdqWriter {
  readonly #graph: Graph
  readonly #params: ParamsTable
  readonly #names: UniqueNames
  readonly #shared = new Map<string, Value[]>()

  constructor(graph: Graph, params: ParamsTable) {
    this.#graph = graph
    this.#params = params
    this.#names = new UniqueNames(graph)
  }

  activation(tensor: TensorPlan, value: Value, uses: readonly Use[]): void {
    const params = this.#paramsOf(tensor)
    refuseUnlessExact(tensor, params)
    const parameters = this.#parameters(tensor, params)
    const shape = asTensor(value.type)?.shape
    const clip = this.#clip(tensor, params, value)
    const codes = new Value(this.#names.value(`${value.name}_quantized`), tensorType(storageDType(params.spec), shape))
    const real = new Value(this.#names.value(`${value.name}_dequantized`), value.type)
    const chain = [
      ...clip,
      this.#node('QuantizeLinear', tensor.value, [clip[0]?.outputs[0] ?? value, ...parameters], codes),
      this.#node('DequantizeLinear', tensor.value, [codes, ...parameters], real),
    ]
    insertOn(value, chain, { uses, output: tensor.graphOutput === true })
  }

  /**
   * QuantizeLinear clips at the limits of its type only. Codes that end earlier are clipped as values: what lies beyond the outermost
   * code's value goes to that value, and so to that code; what lies within keeps its code, rounding being monotone.
   */
  #clip({ group, spec }: TensorPlan, params: QuantParams, value: Value): Node[] {
    const type = integerRange(storageDType(spec))
    if (type?.min === spec.quantMin && type.max === spec.quantMax) return []
    const { lo, hi } = coveredRange(
      { scale: must(params.scale[0], 'scale'), zeroPoint: params.zeroPoint[0] ?? 0 },
      spec,
    )
    const bounds = this.#once(`${group} bounds`, () => [
      this.#initializer(`${group}_lowest`, Tensor.float32([], [lo])),
      this.#initializer(`${group}_highest`, Tensor.float32([], [hi])),
    ])
    return [
      this.#node(
        'Clip',
        value.name,
        [value, ...bounds],
        new Value(this.#names.value(`${value.name}_clipped`), value.type),
      ),
    ]
  }

  constant(tensor: TensorPlan, value: Value, uses: readonly Use[]): void {
    const params = this.#paramsOf(tensor)
    const data = must(value.constant, `constant "${value.name}"`)
    const codes = codesTensor(quantize(data.numbers(), params, [...data.dims]), data.dims, storageDType(params.spec))
    const stored = this.#graph.addInitializer(this.#names.value(`${value.name}_quantized`), codes)
    const real = new Value(this.#names.value(`${value.name}_dequantized`), value.type)
    const node = this.#node(
      'DequantizeLinear',
      tensor.group,
      [stored, ...this.#parameters(tensor, params, data.dims)],
      real,
    )
    for (const [name, a] of layout(params.spec)) node.attributes.set(name, a)
    const { first } = this.#graph.nodes
    this.#graph.add(node, first ? { before: first } : {})
    replaceUses(uses, real)
  }

  #paramsOf(tensor: TensorPlan): QuantParams {
    return must(this.#params.get(tensor.group), `parameters of "${tensor.group}"`)
  }

  /** Scale and zero point, stored once for each group. The zero point of int32 is 0 by definition and is left out. */
  #parameters({ group }: TensorPlan, params: QuantParams, dataDims: readonly number[] = []): Value[] {
    return this.#once(group, () => {
      const dims = parameterDims(params, dataDims)
      const dtype = storageDType(params.spec)
      const scale = this.#initializer(`${group}_scale`, Tensor.float32(dims, params.scale))
      if (dtype === 'int32') return [scale]
      return [scale, this.#initializer(`${group}_zero_point`, Tensor.fromNumbers(dtype, dims, params.zeroPoint))]
    })
  }

  #once(key: string, make: () => Value[]): Value[] {
    const values = this.#shared.get(key) ?? make()
    this.#shared.set(key, values)
    return values
  }

  #initializer(name: string, constant: Tensor): Value {
    return this.#graph.addInitializer(this.#names.value(name), constant)
  }

  #node(opType: string, base: string, inputs: Value[], output: Value): Node {
    return new Node({ opType, name: this.#names.node(`${base}_${opType}`), inputs, outputs: [output] })
  }
}

/** A scalar per tensor, a vector per channel, blocks counted along their axis per group. */
function parameterDims({ spec, scale }: QuantParams, dataDims: readonly number[]): readonly number[] {
  const { granularity } = spec
  if (granularity.kind === 'tensor') return []
  if (granularity.kind === 'channel') return [scale.length]
  return dataDims.map((d, axis) => (axis === granularity.axis ? Math.ceil(d / granularity.size) : d))
}

function layout({ granularity }: QuantSpec): [string, Attribute][] {
  if (granularity.kind === 'tensor') return []
  const axis: [string, Attribute] = ['axis', attribute.int(granularity.axis)]
  return granularity.kind === 'channel' ? [axis] : [axis, ['block_size', attribute.int(granularity.size)]]
}

/** Sub-byte codes are packed. */
function codesTensor(codes: Codes, dims: readonly number[], dtype: DType): Tensor {
  return dtypeInfo(dtype).bits < 8 ? Tensor.fromNumbers(dtype, dims, codes) : Tensor.fromStorage(dtype, dims, codes)
}
