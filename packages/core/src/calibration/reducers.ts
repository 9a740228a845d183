import {
  asTensor,
  attribute,
  cloneModel,
  GraphBuilder,
  type Model,
  Tensor,
  tensorType,
  type Value,
  valuesByName,
} from '../ir/index.ts'
import { removeWithSubgraphs } from '../passes/index.ts'
import { invariant, problem } from '../util/index.ts'
import type { StatRequest } from './requests.ts'

/** A model that reduces the requested values to statistics, and how to talk to it. */
export interface InstrumentedModel {
  readonly model: Model
  /** Requests in graph order, which is the order of every array below. */
  readonly requests: readonly StatRequest[]
  /** int64 input: first index and stride of each value's sample, as start, step, start, step, … */
  readonly slices: string
  /** int64 output: number of elements of each value. */
  readonly sizes: string
  /** float32 outputs, one a value: `STATS` in their order, then the sample. */
  readonly stats: readonly string[]
  /** False where samples are whole tensors, because the model's operators cannot stride. */
  readonly isStrided: boolean
  readonly channels: readonly ({ readonly min: string; readonly max: string } | undefined)[]
}

/** What precedes the sample of a value. Minima and maxima skip NaN in most places; the sum is NaN where any element is. */
export const STATS = ['ReduceMin', 'ReduceMax', 'ReduceSum'] as const

/** Opset in which Slice learned to stride. Below, values leave the engine whole. */
const STRIDED_SLICE_OPSET = 10
/** Opset in which reductions take their axes as an input. */
const REDUCE_AXES_INPUT_OPSET = 18

/**
 * The model with reducers on the requested values, no other outputs, and nothing that only other outputs need. Each value is
 * reduced over its flattened tensor inside the engine; with the results leaves a strided slice of it, whose start and stride are
 * fed with each run.
 *
 * ONNX Runtime runs, for the last node without readers first, all that it depends on. Values are let go early, and read while
 * they are in the processor's cache, if all readers of one value meet in one such node and those of the first value come last.
 * @throws FewbitError CALIB_VALUE for a value that the main graph does not have or that is not a float tensor.
 */
export function instrument(original: Model, requests: readonly StatRequest[]): InstrumentedModel {
  invariant(requests.length > 0, () => 'nothing to measure')
  const model = cloneModel(original)
  model.graph.outputs.length = 0
  const ordered = inGraphOrder(model, requests)
  const builder = new Instrumenter(model)
  const flats = ordered.map(({ value }) => builder.flatten(value))
  const counts = flats.map((flat) => builder.size(flat))
  const slices = builder.slices(flats.length)
  const sizes = builder.join(counts)
  const outputs = ordered
    .map(({ request, value }, i) => ({ request, value, flat: flats[i] as Value, count: counts[i] as Value, i }))
    .toReversed()
    .map(({ request, value, flat, count, i }) => ({
      channels: request.channelAxis === undefined ? undefined : builder.channels(value, request.channelAxis),
      stats: builder.join([
        ...STATS.map((type) => builder.reduce(type, flat)),
        builder.sample(flat, count, slices.at(i)),
      ]),
    }))
    .toReversed()
  removeUnread(model)
  return {
    model,
    requests: ordered.map(({ request }) => request),
    slices: slices.input,
    isStrided: model.opset() >= STRIDED_SLICE_OPSET,
    sizes,
    stats: outputs.map(({ stats }) => stats),
    channels: outputs.map(({ channels }) => channels),
  }
}

function removeUnread({ graph }: Model): void {
  const outputs = new Set(graph.outputs)
  for (const node of graph.nodes.reversed()) {
    if (node.outputs.every((o) => !o || (o.useCount === 0 && !outputs.has(o)))) removeWithSubgraphs(node)
  }
}

function inGraphOrder(model: Model, requests: readonly StatRequest[]) {
  const values = valuesByName(model.graph)
  const position = new Map([...values.keys()].map((name, i) => [name, i]))
  const order = (request: StatRequest): number => position.get(request.value) ?? -1
  return requests
    .toSorted((a, b) => order(a) - order(b))
    .map((request) => ({ request, value: floatValue(values.get(request.value), request.value) }))
}

function floatValue(value: Value | undefined, name: string): Value {
  const at = { value: name }
  if (!value) throw problem('CALIB_VALUE', `the model's main graph has no value "${name}"`, { at })
  const dtype = value.type ? asTensor(value.type)?.dtype : 'float32'
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'float64' || dtype === 'bfloat16') return value
  throw problem('CALIB_VALUE', `"${name}" is ${dtype ?? 'not a tensor'}; only floating-point values are measured`, {
    at,
  })
}

class Instrumenter {
  readonly #model: Model
  readonly #builder: GraphBuilder
  readonly #flat: Value
  readonly #axis: Value

  constructor(model: Model) {
    this.#model = model
    this.#builder = new GraphBuilder(model.graph)
    this.#flat = this.#builder.constant('fewbit_flat', Tensor.int64([1], [-1]))
    this.#axis = this.#builder.constant('fewbit_axis', Tensor.int64([1], [0]))
    // IR version 3 knows initializers only as inputs with defaults.
    model.irVersion = Math.max(model.irVersion, 4)
  }

  flatten(value: Value): Value {
    const dtype = asTensor(value.type)?.dtype ?? 'float32'
    const single = dtype === 'float32' ? value : this.#op('Cast', [value], { to: attribute.int(1) })
    return this.#op('Reshape', [single, this.#flat])
  }

  reduce(type: (typeof STATS)[number], flat: Value): Value {
    return this.#op(type, [flat], { keepdims: attribute.int(1) })
  }

  size(flat: Value): Value {
    return this.#op('Shape', [flat])
  }

  /** One input for all starts and strides: feeding many small tensors costs more than splitting one. */
  slices(count: number): { input: string; at(i: number): readonly [Value, Value] } {
    const parts = 2 * count
    const input = this.#builder.input('fewbit_slices', tensorType('int64', [parts]))
    const attributes = this.#opset >= 18 ? { num_outputs: attribute.int(parts) } : {}
    const outputs = this.#builder.ops('Split', [input], attributes, { outputs: parts, name: 'fewbit_split' })
    return { input: input.name, at: (i) => [outputs[2 * i] as Value, outputs[2 * i + 1] as Value] }
  }

  sample(flat: Value, size: Value, [start, step]: readonly [Value, Value]): Value {
    if (this.#opset < STRIDED_SLICE_OPSET) return flat
    return this.#op('Slice', [flat, start, size, this.#axis, step])
  }

  channels(value: Value, axis: number): { min: string; max: string } {
    const rank = asTensor(value.type)?.shape?.length
    if (rank === undefined || axis >= rank || axis < -rank) {
      const what = rank === undefined ? 'unknown rank' : `rank ${rank}`
      throw problem('CALIB_VALUE', `"${value.name}" has ${what}, so it has no channel axis ${axis}`, {
        at: { value: value.name },
      })
    }
    const kept = axis < 0 ? axis + rank : axis
    const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== kept)
    const reduced = (type: string): string => this.#output(this.#reduceAxes(type, value, others))
    return { min: reduced('ReduceMin'), max: reduced('ReduceMax') }
  }

  /** Concatenates vectors into an output. */
  join(parts: readonly Value[]): string {
    return this.#output(this.#op('Concat', parts, { axis: attribute.int(0) }))
  }

  #reduceAxes(type: string, value: Value, axes: readonly number[]): Value {
    const keepdims = attribute.int(0)
    if (axes.length === 0) return this.#op('Identity', [value])
    if (this.#opset < REDUCE_AXES_INPUT_OPSET) return this.#op(type, [value], { keepdims, axes: attribute.ints(axes) })
    const input = this.#builder.constant('fewbit_axes', Tensor.int64([axes.length], axes))
    return this.#op(type, [value, input], { keepdims })
  }

  #output(value: Value): string {
    return this.#builder.output(value).name
  }

  #op(type: string, inputs: readonly Value[], attributes = {}): Value {
    return this.#builder.op(type, inputs, attributes, { name: `fewbit_${type}` })
  }

  get #opset(): number {
    return this.#model.opset()
  }
}
