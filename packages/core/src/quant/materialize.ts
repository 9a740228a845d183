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
import { type DType, dtypeInfo, must, problem } from '../util/index.ts'
import { type Codes, quantize } from './affine.ts'
import type { ParamsTable, QuantPlan, TensorPlan } from './plan.ts'
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
 * @throws FewbitError MATERIALIZE_OPSET if the model's opset cannot express the plan.
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

class QdqWriter {
  readonly #graph: Graph
  readonly #params: ParamsTable
  readonly #names: UniqueNames
  readonly #quantizers = new Map<string, Value[]>()

  constructor(graph: Graph, params: ParamsTable) {
    this.#graph = graph
    this.#params = params
    this.#names = new UniqueNames(graph)
  }

  activation(tensor: TensorPlan, value: Value, uses: readonly Use[]): void {
    const params = this.#paramsOf(tensor)
    const parameters = this.#parameters(tensor, params)
    const shape = asTensor(value.type)?.shape
    const codes = new Value(this.#names.value(`${value.name}_quantized`), tensorType(storageDType(params.spec), shape))
    const real = new Value(this.#names.value(`${value.name}_dequantized`), value.type)
    const pair = [
      this.#node('QuantizeLinear', tensor.value, [value, ...parameters], codes),
      this.#node('DequantizeLinear', tensor.value, [codes, ...parameters], real),
    ]
    insertOn(value, pair, { uses, output: tensor.graphOutput === true })
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
  #parameters(tensor: TensorPlan, params: QuantParams, dataDims: readonly number[] = []): Value[] {
    const known = this.#quantizers.get(tensor.group)
    if (known) return known
    const dims = parameterDims(params, dataDims)
    const dtype = storageDType(params.spec)
    const made = [this.#initializer(`${tensor.group}_scale`, Tensor.float32(dims, params.scale))]
    if (tensor.role !== 'bias') {
      made.push(this.#initializer(`${tensor.group}_zero_point`, Tensor.fromNumbers(dtype, dims, params.zeroPoint)))
    }
    this.#quantizers.set(tensor.group, made)
    return made
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
