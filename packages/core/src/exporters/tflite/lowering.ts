import { asTensor, isStatic, type Model, type Node, type Value } from '../../ir/index.ts'
import { defaultOps, type OpRegistry } from '../../ops/index.ts'
import {
  fakeQuantize,
  type ParamsTable,
  type QuantParams,
  type QuantPlan,
  quantize,
  type TensorPlan,
} from '../../quant/index.ts'
import { bytesOf, must, problem } from '../../util/index.ts'
import type { ExportContext } from '../define.ts'
import { activationEncodings } from '../encodings.ts'
import { TfBuilder, type TfQuantization, type TfTensor, type TranslatedGraph } from './graph.ts'
import { quantizationOf, sameQuantization } from './int8.ts'
import { between, inOrder, NHWC, type Order, permute, sameOrder, sameSequence, shapeIn } from './order.ts'

/** `codes`: int8 with scale and zero point. `real`: float32. */
export type Form = 'codes' | 'real'

/** One tensor of the TFLite graph that holds an ONNX value. */
export interface Stored {
  readonly tensor: number
  readonly order: Order
}

/** Rows whose elements stand in the sequence of an image in another order than ONNX's. */
export interface Flattened {
  /** The image's dimensions in ONNX, batch first. */
  readonly shape: readonly number[]
  readonly order: Order
}

/** How a constant is stored, where its elements are permuted under other dimensions than it has. */
export interface StoredAs {
  readonly shape: readonly number[]
  /** Axis with a scale for each index. */
  readonly axis: number
}

/**
 * The state of a translation: which TFLite tensors hold which ONNX value. A value may be held in both forms and in several orders of
 * axes; what an operator asks for is made from what there is, by QUANTIZE, DEQUANTIZE and TRANSPOSE, and kept for the next reader.
 */
export class Lowering {
  readonly builder = new TfBuilder()
  readonly model: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
  readonly ops: OpRegistry
  readonly #encodings: Map<string, QuantParams>
  readonly #held = new Map<Value, { form: Form; stored: Stored }[]>()
  readonly #inputs = new Map<Value, number>()
  readonly #flattened = new Map<Value, Flattened>()

  constructor(cx: ExportContext) {
    this.model = cx.model
    this.plan = cx.plan
    this.params = cx.params
    this.ops = cx.ops ?? defaultOps
    this.#encodings = activationEncodings(cx)
  }

  /** Static dimensions of a value. @throws FewbitError EXPORT_SHAPE */
  shape(value: Value): readonly number[] {
    const shape = value.constant?.dims ?? asTensor(value.type)?.shape
    if (shape && isStatic(shape)) return shape
    throw problem(
      'EXPORT_SHAPE',
      `the shape of "${value.name}" is open: ${shape ? `[${shape.join(', ')}]` : 'unknown'}`,
      {
        at: { value: value.name },
        fix: 'fix the sizes of the inputs other than the batch',
      },
    )
  }

  /** How a value is quantized, constants aside. */
  encoding(value: Value): QuantParams | undefined {
    return this.#encodings.get(value.name)
  }

  /** Quantizes a value like another one. */
  lend(value: Value, from: Value): void {
    const params = this.encoding(from)
    if (params) this.#encodings.set(value.name, params)
  }

  /** Scale and zero point of a value in int8. */
  quantization(value: Value): TfQuantization | undefined {
    const params = this.encoding(value)
    return params && quantizationOf(params)
  }

  /** Whether two values have equal codes for equal numbers, where codes are asked for. */
  sameScale(a: Value, b: Value, form: Form): boolean {
    const [x, y] = [this.encoding(a), this.encoding(b)]
    return form === 'real' || (x !== undefined && y !== undefined && sameQuantization(x, y))
  }

  /** The order that a value is held in; images that nobody made yet are NHWC. */
  orderOf(value: Value): Order {
    const rank = this.shape(value).length
    return this.#held.get(value)?.[0]?.stored.order ?? (rank === 4 ? NHWC : inOrder(rank))
  }

  isConstant(value: Value): boolean {
    return value.constant !== null && value.producer === null
  }

  isHeld(value: Value): boolean {
    return this.#held.has(value)
  }

  /** A tensor that holds a value in a form and an order; whatever is missing is added to the graph. */
  read(value: Value, form: Form, order: Order = this.orderOf(value)): Stored {
    const held = this.#held.get(value) ?? [this.#enter(value, order)]
    const exact = held.find((h) => h.form === form && sameOrder(h.stored.order, order))
    if (exact) return exact.stored
    const formed = held.find((h) => h.form === form)?.stored ?? this.#converted(value, form, must(held[0], 'held form'))
    return sameOrder(formed.order, order) ? formed : this.#reordered(value, form, formed, order)
  }

  /** Declares that a tensor holds a value. */
  hold(value: Value, form: Form, stored: Stored): void {
    this.#held.set(value, [...(this.#held.get(value) ?? []), { form, stored }])
  }

  /** Declares that the rows of a value are images in an order of their own. */
  flatten(value: Value, image: Flattened): void {
    this.#flattened.set(value, image)
  }

  flattened(value: Value): Flattened | undefined {
    return this.#flattened.get(value)
  }

  /** A new tensor for a value that an operator makes. */
  define(value: Value, form: Form, order: Order): number {
    const tensor = this.builder.tensor(this.#describe(value, form, order, value.name))
    this.hold(value, form, { tensor, order })
    return tensor
  }

  /** A tensor between two operators, quantized like `like`. */
  temporary(name: string, shape: readonly number[], form: Form, like: Value): number {
    return this.builder.tensor({ name, shape, ...this.#typed(like, form) })
  }

  /** Float numbers of a constant, those that its planned codes mean where a reader takes codes. */
  realConstant(value: Value, reader: Node, order: Order = inOrder(this.shape(value).length)): number {
    return this.spreadConstant(value, reader, this.shape(value), order)
  }

  /** The same under another shape of as many elements. */
  spreadConstant(value: Value, reader: Node, shape: readonly number[], order: Order, as?: StoredAs): number {
    const entry = this.entry(value, reader)
    const numbers = must(value.constant, 'constant').numbers()
    const meant = entry ? fakeQuantize(numbers, this.paramsOf(entry), [...this.shape(value)]) : numbers
    const data = bytesOf(Float32Array.from(permute(meant, shape, order)))
    const stored = as?.shape ?? shapeIn(order, shape)
    const key = `real ${value.name} ${entry?.group} ${shape} ${order}`
    return this.builder.constant(key, () => ({ name: value.name, type: 'FLOAT32', shape: stored, data }))
  }

  /** A new float constant. */
  floats(name: string, shape: readonly number[], numbers: Float32Array): number {
    return this.builder.tensor({ name, type: 'FLOAT32', shape, data: bytesOf(numbers) })
  }

  /** One number as an operand beside a value: a code on its grid, or a float. */
  scalar(like: Value, x: number, form: Form): number {
    if (form === 'real') return this.floats('bound', [1], Float32Array.of(x))
    const params = must(this.encoding(like), `encoding of "${like.name}"`)
    const [code = 0] = quantize([x], params)
    return this.scalarCode(like, code - (params.spec.signed ? 0 : 128))
  }

  /** The plan's entry for a constant as one reader takes it. */
  entry(value: Value, reader: Node): TensorPlan | undefined {
    return this.plan.tensors.find((t) => t.value === value.name && t.readers.includes(reader.name))
  }

  paramsOf(tensor: TensorPlan): QuantParams {
    return must(this.params.get(tensor.group), `parameters of "${tensor.group}"`)
  }

  /** int8 codes of a constant, with its axes in an order. */
  codeConstant(value: Value, params: QuantParams, shape: readonly number[], order: Order, as?: StoredAs): number {
    const codes = quantize(must(value.constant, 'constant').numbers(), params, [...this.shape(value)])
    const shift = params.spec.signed ? 0 : 128
    const data = bytesOf(Int8Array.from(permute(codes, shape, order), (q) => q - shift))
    const { granularity } = params.spec
    const own = granularity.kind === 'channel' ? order.indexOf((granularity.axis + shape.length) % shape.length) : 0
    const { shape: stored, axis } = as ?? { shape: shapeIn(order, shape), axis: own }
    const key = `codes ${value.name} ${JSON.stringify(params)} ${shape} ${order}`
    const quantization = quantizationOf(params, axis)
    return this.builder.constant(key, () => ({ name: value.name, type: 'INT8', shape: stored, quantization, data }))
  }

  /** One code on the grid of a value. */
  scalarCode(like: Value, code: number): number {
    const typed = this.#typed(like, 'codes')
    const key = `code ${code} ${JSON.stringify(typed)}`
    return this.builder.constant(key, () => ({ name: `code_${code}`, shape: [1], ...typed, data: Uint8Array.of(code) }))
  }

  /** The finished graph. Outputs keep the form and the order that they were made in. */
  finish(name: string): TranslatedGraph {
    const { graph } = this.model
    const outputs = graph.outputs.map((value) => this.#output(value))
    const inputs = graph.inputs.flatMap((value) => this.#inputs.get(value) ?? [])
    const orders = {
      inputs: Object.fromEntries([...this.#inputs.keys()].map((value) => [value.name, this.orderOf(value)])),
      outputs: Object.fromEntries(graph.outputs.map((value, i) => [value.name, must(outputs[i], 'output').order])),
    }
    const ends = { inputs, outputs: outputs.map(({ tensor }) => tensor), orders }
    return { name, tensors: this.builder.tensors, operators: this.builder.operators, ...ends }
  }

  #output(value: Value): Stored {
    const planned = this.plan.tensors.some((t) => t.value === value.name && t.role === 'activation')
    return this.read(value, planned ? 'codes' : (this.#held.get(value)?.[0]?.form ?? 'real'))
  }

  /** Graph inputs are codes where the plan quantizes them. */
  #enter(value: Value, order: Order): { form: Form; stored: Stored } {
    if (!this.model.graph.isInput(value)) {
      throw problem('EXPORT_OPERATOR', `"${value.name}" is not translated`, { at: { value: value.name } })
    }
    const form: Form = this.encoding(value) ? 'codes' : 'real'
    const tensor = this.define(value, form, order)
    this.#inputs.set(value, tensor)
    return { form, stored: { tensor, order } }
  }

  #converted(value: Value, form: Form, from: { form: Form; stored: Stored }): Stored {
    const { order, tensor } = from.stored
    const made = this.builder.tensor(this.#describe(value, form, order, `${value.name}_${form}`))
    this.builder.op(form === 'codes' ? 'QUANTIZE' : 'DEQUANTIZE', [tensor], [made])
    const stored = { tensor: made, order }
    this.hold(value, form, stored)
    return stored
  }

  #reordered(value: Value, form: Form, from: Stored, order: Order): Stored {
    const shape = this.shape(value)
    const made = this.builder.tensor(this.#describe(value, form, order, `${value.name}_${order.join('')}`))
    if (sameSequence(shape, from.order, order)) {
      this.builder.op('RESHAPE', [from.tensor, this.builder.integers('shape', shapeIn(order, shape))], [made])
    } else {
      this.builder.op('TRANSPOSE', [from.tensor, this.builder.integers('perm', between(from.order, order))], [made])
    }
    const stored = { tensor: made, order }
    this.hold(value, form, stored)
    return stored
  }

  #describe(value: Value, form: Form, order: Order, name: string): TfTensor {
    return { name, shape: shapeIn(order, this.shape(value)), ...this.#typed(value, form) }
  }

  #typed(value: Value, form: Form): Pick<TfTensor, 'type' | 'quantization'> {
    if (form === 'real') return { type: 'FLOAT32' }
    const params = must(this.encoding(value), `encoding of "${value.name}"`)
    return { type: 'INT8', quantization: quantizationOf(params) }
  }
}
