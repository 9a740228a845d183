import { asTensor, attribute, type Graph, GraphBuilder, type Node, Tensor, type Value } from '../ir/index.ts'
import {
  coveredRange,
  groupsOf,
  MIN_SCALE,
  type QuantSpec,
  type Range,
  stepsAboutZero,
  symmetricZero,
  type TensorPlan,
} from '../quant/index.ts'
import { must } from '../util/index.ts'
import type { QFloatRecord, QuantizerRecord, RangeObserver } from './record.ts'

/** Values that hold the next content of initializers, by the initializer's name. */
type Updates = readonly (readonly [string, Value])[]

/**
 * Writes the observers of a training form: from what passes its fake-quantizers in a step, the running range of each group, and from that
 * the scale and zero point that the next step quantizes with, as `paramsFromRange` has them. The form has two more initializers for each
 * observed activation; the network itself holds what follows from them.
 */
export function writeObservers(graph: Graph, { quantizers, plan }: QFloatRecord): Updates {
  const nodes = new Map([...graph.nodes].map((node) => [node.name, node]))
  const bounds = groupsOf(plan)
  return quantizers.flatMap((record): Updates => {
    const { observer, enabled, frozen, group, sites } = record
    if (!observer || !enabled || frozen) return []
    const quantized = sites.map(({ node }) => must(nodes.get(node), `fake-quantizer "${node}"`))
    const own = { record, nodes: quantized, within: withinOf(bounds.get(group) ?? []) }
    return record.role === 'activation' ? observeActivation(graph, own, observer) : observeConstant(graph, own)
  })
}

interface ObservedGroup {
  readonly record: QuantizerRecord
  /** The fake-quantizers, which read the same scale and zero point. */
  readonly nodes: readonly Node[]
  readonly within: Range
}

function observeActivation(graph: Graph, { record, nodes, within }: ObservedGroup, observer: RangeObserver): Updates {
  const w = new RangeWriter(graph, record.group)
  const values = nodes.map((node) => must(node.inputs[0], 'input of the fake-quantizer'))
  const [scale, zero] = parametersOf(nodes)
  const start = coveredRange({ scale: first(scale), zeroPoint: first(zero) }, record.spec)
  const [lo, hi] = [w.number('min', start.lo), w.number('max', start.hi)]
  const next = {
    lo: w.next(observer, lo, w.reduced('ReduceMin', 'Min', values), 'Min'),
    hi: w.next(observer, hi, w.reduced('ReduceMax', 'Max', values), 'Max'),
  }
  const grid = w.grid(w.cut(next, within), record.spec)
  return [
    [lo.name, next.lo],
    [hi.name, next.hi],
    [scale.name, w.shaped(grid.scale, dimsOf(scale))],
    [zero.name, w.shaped(grid.zeroPoint, dimsOf(zero))],
  ]
}

/** The range of a constant is that of its elements, one for each scale. */
function observeConstant(graph: Graph, { record, nodes }: ObservedGroup): Updates {
  const w = new RangeWriter(graph, record.group)
  const value = must(nodes[0]?.inputs[0], 'input of the fake-quantizer')
  const [scale, zero] = parametersOf(nodes)
  const { granularity } = record.spec
  const rank = must(asTensor(value.type)?.shape, `rank of "${value.name}"`).length
  const axes = Array.from({ length: rank }, (_, i) => i).filter(
    (i) => granularity.kind !== 'channel' || i !== granularity.axis,
  )
  const range = { lo: w.along('ReduceMin', value, axes), hi: w.along('ReduceMax', value, axes) }
  const grid = w.grid(range, record.spec)
  const dims = [dimsOf(scale), dimsOf(zero)] as const
  // One zero point for all channels is that of a symmetric grid, and stays.
  const moves = !record.spec.symmetric && sizeOf(dims[0]) === sizeOf(dims[1])
  return [
    [scale.name, w.shaped(grid.scale, dims[0])],
    ...(moves ? [[zero.name, w.shaped(grid.zeroPoint, dims[1])] as const] : []),
  ]
}

/** Scale and zero point, the inputs of a fake-quantizer that keeps them. */
const parametersOf = (nodes: readonly Node[]): [Value, Value] => [
  must(nodes[0]?.inputs[1], 'scale of the fake-quantizer'),
  must(nodes[0]?.inputs[2], 'zero point of the fake-quantizer'),
]

const first = (value: Value): number => must(value.constant?.numbers()[0], value.name) as number
const dimsOf = (value: Value): readonly number[] => must(value.constant, value.name).dims
const sizeOf = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

const withinOf = (members: readonly TensorPlan[]): Range => ({
  lo: Math.min(...members.map(({ within }) => within?.lo ?? -Infinity)),
  hi: Math.max(...members.map(({ within }) => within?.hi ?? Infinity)),
})

interface Grid {
  readonly scale: Value
  readonly zeroPoint: Value
}

interface RangeValues {
  readonly lo: Value
  readonly hi: Value
}

class RangeWriter {
  readonly #builder: GraphBuilder
  readonly #name: string

  constructor(graph: Graph, name: string) {
    this.#name = name
    this.#builder = new GraphBuilder(graph)
  }

  op(type: string, inputs: readonly Value[], name = type): Value {
    const base = `${this.#name}_observed_${name}`
    return this.#builder.op(type, inputs, {}, { name: base, output: base })
  }

  constant(name: string, tensor: Tensor): Value {
    return this.#builder.constant(`${this.#name}_observed_${name}`, tensor)
  }

  scalar(value: number): Value {
    return this.number('number', value)
  }

  number(name: string, value: number): Value {
    return this.constant(name, Tensor.float32([], [value]))
  }

  reduced(reduce: 'ReduceMin' | 'ReduceMax', join: 'Min' | 'Max', values: readonly Value[]): Value {
    const each = values.map((value) => this.along(reduce, value))
    return each.length === 1 ? must(each[0], 'range') : this.op(join, each)
  }

  /** Over all axes to a scalar, or over some, which keep size 1. Opset 18 or later. */
  along(reduce: 'ReduceMin' | 'ReduceMax', value: Value, axes?: readonly number[]): Value {
    const inputs = axes ? [value, this.constant('axes', Tensor.int64([axes.length], axes))] : [value]
    const base = `${this.#name}_observed_${reduce}`
    return this.#builder.op(reduce, inputs, { keepdims: attribute.int(axes ? 1 : 0) }, { name: base, output: base })
  }

  shaped(value: Value, dims: readonly number[]): Value {
    return this.op('Reshape', [value, this.constant('shape', Tensor.int64([dims.length], dims))])
  }

  next(observer: RangeObserver, running: Value, batch: Value, join: 'Min' | 'Max'): Value {
    if (observer.kind === 'minmax') return this.op(join, [running, batch])
    const { momentum } = observer
    const kept = this.op('Mul', [running, this.scalar(momentum)])
    return this.op('Add', [kept, this.op('Mul', [batch, this.scalar(1 - momentum)])])
  }

  cut({ lo, hi }: RangeValues, within: Range): RangeValues {
    return {
      lo: Number.isFinite(within.lo) ? this.op('Max', [lo, this.scalar(within.lo)]) : lo,
      hi: Number.isFinite(within.hi) ? this.op('Min', [hi, this.scalar(within.hi)]) : hi,
    }
  }

  /** Scale and zero point of a range, as `paramsFromRange` has them. */
  grid(range: RangeValues, spec: QuantSpec): Grid {
    const lo = this.op('Min', [range.lo, this.scalar(0)])
    const hi = this.op('Max', [range.hi, this.scalar(0)])
    if (spec.symmetric) return this.#symmetric(lo, hi, spec)
    const levels = this.scalar(spec.quantMax - spec.quantMin)
    const scale = this.#stored(this.op('Div', [this.op('Sub', [hi, lo]), levels]), spec)
    const [low, high] = [this.scalar(spec.quantMin), this.scalar(spec.quantMax)]
    const zero = this.op('Sub', [low, this.op('Round', [this.op('Div', [lo, scale])])])
    return { scale, zeroPoint: this.op('Min', [this.op('Max', [zero, low]), high]) }
  }

  #symmetric(lo: Value, hi: Value, spec: QuantSpec): Grid {
    const { below, above } = stepsAboutZero(spec)
    const reach = (end: Value, steps: number) => this.op('Div', [end, this.scalar(steps)])
    const both = this.op('Max', [this.op('Neg', [reach(lo, below)]), reach(hi, above)])
    if (spec.signed) return { scale: this.#stored(both, spec), zeroPoint: this.scalar(symmetricZero(spec)) }
    // Values that are never negative take all codes above the lowest.
    const isPositive = this.op('GreaterOrEqual', [lo, this.scalar(0)])
    const wide = reach(hi, spec.quantMax - spec.quantMin)
    return {
      scale: this.#stored(this.op('Where', [isPositive, wide, both]), spec),
      zeroPoint: this.op('Where', [isPositive, this.scalar(spec.quantMin), this.scalar(symmetricZero(spec))]),
    }
  }

  /** Never so small that no scale could be deployed; a power of two where the spec wants one. An empty range has scale 1. */
  #stored(exact: Value, { powerOfTwo }: QuantSpec): Value {
    const isEmpty = this.op('LessOrEqual', [exact, this.scalar(0)])
    const scale = this.op('Max', [this.op('Where', [isEmpty, this.scalar(1), exact]), this.scalar(MIN_SCALE)])
    if (!powerOfTwo) return scale
    const exponent = this.op('Div', [this.op('Log', [scale]), this.scalar(Math.LN2)])
    const half = this.op('Floor', [this.op('Add', [exponent, this.scalar(0.5)])])
    const whole = powerOfTwo === 'round' ? half : this.op(powerOfTwo === 'ceil' ? 'Ceil' : 'Floor', [exponent])
    return this.op('Pow', [this.scalar(2), whole])
  }
}
