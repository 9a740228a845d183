import {
  asTensor,
  attribute,
  cloneModel,
  GraphBuilder,
  isStatic,
  type Model,
  type Shape,
  Tensor,
  tensorType,
  type Value,
  valuesByName,
} from '../ir/index.ts'
import { removeWithSubgraphs } from '../passes/index.ts'
import { invariant, problem } from '../util/index.ts'
import { reduceAxes } from './reduce-axes.ts'
import type { StatRequest } from './requests.ts'

/** A model that reduces the requested values to statistics, and how to talk to it. */
export interface InstrumentedModel {
  readonly model: Model
  /** Requests in graph order, which is the order of every array below. */
  readonly requests: readonly StatRequest[]
  /** int64 input: first index and stride of each value's sample, as start, step, start, step, … */
  readonly slices: string
  /** int64 output: rows and blocks a row of each value that has blocks, and the number of elements of each other one. */
  readonly sizes: string
  /** float32 outputs, one a value: `STATS` in their order, `POWER_SUMS` for moments, then the sample, then the blocks with the largest elements of each row. */
  readonly stats: readonly string[]
  /** Elements of a block, for values that have blocks. */
  readonly blocks: readonly (number | undefined)[]
  /** False where samples are whole tensors, because the model's operators cannot stride. */
  readonly isStrided: boolean
  readonly channels: readonly ({ readonly min: string; readonly max: string } | undefined)[]
  /** float32 outputs: the two largest scores of each row, where they are wanted and there are classes. */
  readonly margins: readonly (string | undefined)[]
}

/** What precedes the sample of a value. Minima and maxima skip NaN in most places; the sum is NaN where any element is. */
export const STATS = ['ReduceMin', 'ReduceMax', 'ReduceSum'] as const

/** What follows `STATS` where moments are wanted. */
export const POWER_SUMS = ['ReduceL1', 'ReduceSumSquare'] as const

/** Opset in which Slice learned to stride. Below, values leave the engine whole. */
const STRIDED_SLICE_OPSET = 10
/** Opset in which GatherND learned of batch axes. Below, values have no blocks. */
const BATCH_GATHER_OPSET = 12

/**
 * The model with reducers on the requested values, no other outputs, and nothing that only other outputs need. Each value is
 * reduced inside the engine; with the results leaves a strided slice of it, whose start and stride are fed with each run, and the
 * blocks of it that hold its tails.
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
  const slices = builder.slices(flats.length)
  const blocks = ordered.map(({ request, value }) =>
    request.wants.includes('histogram') ? builder.blockOf(value) : undefined,
  )
  const cut = ordered.map(({ value }, i) => builder.cut(value, blocks[i]))
  const sizes = builder.join(flats.map((flat, i) => builder.size(cut[i]?.magnitude ?? flat)))
  const outputs = ordered
    .map(({ request, value }, i) => ({ request, value, flat: flats[i] as Value, i }))
    .toReversed()
    .map(({ request, value, flat, i }) => ({
      channels: request.channelAxis === undefined ? undefined : builder.channels(value, request.channelAxis),
      margins: request.wants.includes('margins') ? builder.margins(value) : undefined,
      stats: builder.join(builder.reduced(flat, cut[i], slices.at(i), request.wants.includes('moments'))),
    }))
    .toReversed()
  removeUnread(model)
  return {
    model,
    requests: ordered.map(({ request }) => request),
    slices: slices.input,
    isStrided: model.opset() >= STRIDED_SLICE_OPSET,
    sizes,
    blocks,
    stats: outputs.map(({ stats }) => stats),
    channels: outputs.map(({ channels }) => channels),
    margins: outputs.map(({ margins }) => margins),
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

type ValuePair = readonly [Value, Value]

/** Elements that the known dimensions promise: the whole has a multiple of them. */
const knownSize = (shape: Shape): number => shape.reduce<number>((n, d) => (typeof d === 'number' ? n * d : n), 1)

/** A value cut into blocks: `blocks` is rows × count × length, the extremes are rows × count. */
interface Cut {
  readonly blocks: Value
  readonly min: Value
  readonly max: Value
  /** The larger one of both extremes, by magnitude. */
  readonly magnitude: Value
  readonly length: number
  /** Elements of a row, where they are known. */
  readonly size?: number
}

/** One element in so many is known by itself, or more. */
const LARGEST_SHARE = 2048

/** How many of the `count` blocks of a row are handed over whole: one for the bound of its tail, and those beyond. */
const largestOf = (count: number, length: number): number =>
  Math.min(Math.floor(count / Math.ceil(LARGEST_SHARE / length)) + 2, count)

/** Small blocks make many extremes, and few of large ones are without a tail's element. */
const BLOCK_LENGTHS = { least: 16, best: 64, most: 256 }

/** The divisor of `size` that makes the best blocks. */
function blockLength(size: number): number | undefined {
  const { least, best, most } = BLOCK_LENGTHS
  const lengths = Array.from({ length: most - least + 1 }, (_, i) => least + i).filter((n) => size % n === 0)
  const distance = (n: number): number => Math.abs(Math.log(n / best))
  return lengths.toSorted((a, b) => distance(a) - distance(b))[0]
}

class Instrumenter {
  readonly #model: Model
  readonly #builder: GraphBuilder
  readonly #flat: Value
  readonly #axis: Value
  readonly #one: Value
  readonly #two: Value
  readonly #end: Value

  constructor(model: Model) {
    this.#model = model
    this.#builder = new GraphBuilder(model.graph)
    this.#flat = this.#builder.constant('fewbit_flat', Tensor.int64([1], [-1]))
    this.#axis = this.#builder.constant('fewbit_axis', Tensor.int64([1], [0]))
    this.#one = this.#builder.constant('fewbit_one', Tensor.int64([1], [1]))
    this.#two = this.#builder.constant('fewbit_two', Tensor.int64([1], [2]))
    this.#end = this.#builder.constant('fewbit_end', Tensor.int64([1], [Number.MAX_SAFE_INTEGER]))
    // IR version 3 knows initializers only as inputs with defaults.
    model.irVersion = Math.max(model.irVersion, 4)
  }

  flatten(value: Value): Value {
    return this.#op('Reshape', [this.#single(value), this.#flat])
  }

  #single(value: Value): Value {
    const dtype = asTensor(value.type)?.dtype ?? 'float32'
    return dtype === 'float32' ? value : this.#op('Cast', [value], { to: attribute.int(1) })
  }

  size(flat: Value): Value {
    return this.#op('Shape', [flat])
  }

  /** One input for all starts and strides: feeding many small tensors costs more than splitting one. */
  slices(count: number): { input: string; at(i: number): ValuePair } {
    const parts = 2 * count
    const input = this.#builder.input('fewbit_slices', tensorType('int64', [parts]))
    const attributes = this.#opset >= 18 ? { num_outputs: attribute.int(parts) } : {}
    const outputs = this.#builder.ops('Split', [input], attributes, { outputs: parts, name: 'fewbit_split' })
    return { input: input.name, at: (i) => [outputs[2 * i] as Value, outputs[2 * i + 1] as Value] }
  }

  /** Length of the blocks that rows of the value can be cut into, if its shape promises one and the operators are there. */
  blockOf(value: Value): number | undefined {
    const shape = asTensor(value.type)?.shape ?? []
    return this.#opset < BATCH_GATHER_OPSET || shape.length < 2 ? undefined : blockLength(knownSize(shape.slice(1)))
  }

  /** Blocks of a value and their extremes, which cost no more than those of the whole. */
  cut(value: Value, length: number | undefined): Cut | undefined {
    if (length === undefined) return undefined
    const blocks = this.#reshape(this.#single(value), [0, -1, length])
    const [min, max] = [this.#reduceAxes('ReduceMin', blocks, [2]), this.#reduceAxes('ReduceMax', blocks, [2])]
    const magnitude = this.#op('Max', [max, this.#op('Neg', [min])])
    const shape = asTensor(value.type)?.shape?.slice(1)
    const size = shape && isStatic(shape) ? knownSize(shape) : undefined
    return { blocks, min, max, magnitude, length, ...(size ? { size } : {}) }
  }

  /** `STATS`, the sample, and the blocks with the largest magnitudes of each row. */
  reduced(flat: Value, cut: Cut | undefined, slice: ValuePair, hasMoments: boolean): Value[] {
    const powers = hasMoments ? POWER_SUMS.map((type) => this.#reduceAll(type, flat)) : []
    const sum = [this.#reduceAll('ReduceSum', flat), ...powers]
    const sample = this.#sample(flat, slice)
    if (!cut) return [this.#reduceAll('ReduceMin', flat), this.#reduceAll('ReduceMax', flat), ...sum, sample]
    const extremes = [this.#reduceAll('ReduceMin', cut.min), this.#reduceAll('ReduceMax', cut.max)]
    return [...extremes.map((x) => this.#op('Reshape', [x, this.#flat])), ...sum, sample, this.#largestBlocks(cut)]
  }

  #largestBlocks({ blocks, magnitude, length, size }: Cut): Value {
    const attributes = { sorted: attribute.int(0) }
    const k = size
      ? this.#builder.constant('fewbit_k', Tensor.int64([1], [largestOf(size / length, length)]))
      : this.#largest(magnitude, length)
    const [, indices] = this.#builder.ops('TopK', [magnitude, k], attributes, { outputs: 2, name: 'fewbit_TopK' })
    const rows = this.#reshape(indices as Value, [0, -1, 1])
    return this.#op('Reshape', [this.#op('GatherND', [blocks, rows], { batch_dims: attribute.int(1) }), this.#flat])
  }

  /** `largestOf` in the graph. */
  #largest(magnitude: Value, length: number): Value {
    const count = this.#op('Slice', [this.#op('Shape', [magnitude]), this.#one, this.#two])
    const share = this.#builder.constant('fewbit_share', Tensor.int64([1], [Math.ceil(LARGEST_SHARE / length)]))
    return this.#op('Min', [this.#op('Add', [this.#op('Div', [count, share]), this.#two]), count])
  }

  #reshape(value: Value, shape: readonly number[]): Value {
    return this.#op('Reshape', [value, this.#builder.constant('fewbit_shape', Tensor.int64([shape.length], shape))])
  }

  #reduceAll(type: (typeof STATS)[number] | (typeof POWER_SUMS)[number], flat: Value): Value {
    return this.#op(type, [flat], { keepdims: attribute.int(1) })
  }

  #sample(flat: Value, [start, step]: ValuePair): Value {
    if (this.#opset < STRIDED_SLICE_OPSET) return flat
    return this.#op('Slice', [flat, start, this.#end, this.#axis, step])
  }

  /** The two largest along the axis of classes: the last one, or the first behind the batch where spatial axes follow. */
  margins(value: Value): string | undefined {
    const shape = asTensor(value.type)?.shape ?? []
    const axis = shape.length > 3 ? 1 : shape.length - 1
    const classes = shape[axis]
    if (this.#opset < STRIDED_SLICE_OPSET || shape.length < 2 || !(typeof classes === 'number' && classes > 1)) {
      return undefined
    }
    const perm = attribute.ints([...shape.keys()].filter((i) => i !== axis).concat(axis))
    const rows = axis === shape.length - 1 ? value : this.#op('Transpose', [value], { perm })
    const [top] = this.#builder.ops('TopK', [this.#single(rows), this.#two], {}, { outputs: 2, name: 'fewbit_TopK' })
    return this.#output(this.#op('Reshape', [top as Value, this.#flat]))
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
    const reduced = (type: 'ReduceMin' | 'ReduceMax'): string => this.#output(this.#reduceAxes(type, value, others))
    return { min: reduced('ReduceMin'), max: reduced('ReduceMax') }
  }

  /** Concatenates vectors into an output. */
  join(parts: readonly Value[]): string {
    return this.#output(this.#op('Concat', parts, { axis: attribute.int(0) }))
  }

  #reduceAxes(type: 'ReduceMin' | 'ReduceMax', value: Value, axes: readonly number[]): Value {
    return reduceAxes(this.#builder, this.#opset, type, value, axes)
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
