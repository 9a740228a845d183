import { type Attribute, attribute, Tensor, type Value } from '../ir/index.ts'
import { dtypeToOnnx, must, problem, type RoundingMode } from '../util/index.ts'
import { gridOf, type LevelGrid } from './formats/index.ts'
import { forEachRun, paramCount } from './granularity.ts'
import type { NumberFormat, QuantParams } from './spec.ts'

/** Where nodes are written; `GraphBuilder` is one. */
export interface NodeSink {
  op(type: string, inputs: readonly Value[], attributes?: Readonly<Record<string, Attribute>>): Value
  constant(name: string, tensor: Tensor): Value
}

export interface FakeQuantizeOptions {
  /** Base of the constants' names. */
  readonly name: string
  /** Shape of x; only the rank counts for channels, and all of it, with numbers, for groups. */
  readonly shape?: readonly unknown[] | undefined
  /** Uniform in [0, 1), of a shape that broadcasts to x's. For stochastic rounding only: an engine's own generator is not ours. */
  readonly noise?: Value
}

/**
 * Fake quantization as ordinary float32 nodes, for what QuantizeLinear does not say. It computes what `fakeQuantize` computes, bit for
 * bit on ONNX Runtime's CPU, apart from NaN; an optimizer that drops additions of 0 may leave a zero its sign. From opset 13 on.
 * @throws FewbitError QUANT_SHAPE for scales per channel of a tensor of unknown rank, per group of an unknown shape, or of several
 * `log2` grids in one tensor.
 */
export function fakeQuantizeGraph(sink: NodeSink, x: Value, params: QuantParams, options: FakeQuantizeOptions): Value {
  const writer = new Writer(sink, params, options)
  return params.spec.format ? writer.levels(x, params.spec.format) : writer.integers(x)
}

/** An operator, or a factor. */
type Step = string | number

/** Doubling and halving are exact: ⌈⌊2v⌋ / 2⌉ rounds halves up. */
const HALF_UP: readonly Step[] = [2, 'Floor', 0.5, 'Ceil']
const HALF_DOWN: readonly Step[] = [2, 'Ceil', 0.5, 'Floor']

/** `mirrored`: of magnitudes, the sign put back. ONNX's Round takes halves to even. */
const ROUNDING: Readonly<
  Record<Exclude<RoundingMode, 'stochastic'>, { readonly mirrored?: true; readonly steps: readonly Step[] }>
> = {
  'half-even': { steps: ['Round'] },
  'half-up': { steps: HALF_UP },
  'half-down': { steps: HALF_DOWN },
  'half-away': { mirrored: true, steps: HALF_UP },
  'half-toward-zero': { mirrored: true, steps: HALF_DOWN },
  ceil: { steps: ['Ceil'] },
  floor: { steps: ['Floor'] },
}

class Writer {
  readonly #sink: NodeSink
  readonly #params: QuantParams
  readonly #options: FakeQuantizeOptions

  constructor(sink: NodeSink, params: QuantParams, options: FakeQuantizeOptions) {
    this.#sink = sink
    this.#params = params
    this.#options = options
  }

  integers(x: Value): Value {
    const { spec, zeroPoint, scale } = this.#params
    const [z, s] = [this.#parameter('zero', zeroPoint), this.#parameter('step', scale)]
    const steps = this.#steps(x, s)
    const rounding = spec.rounding ?? 'half-even'
    // An addition after rounding in any case: it makes 0 of −0, as integers do.
    const codes = spec.addThenRound
      ? this.#sink.op('Add', [this.#round(this.#sink.op('Add', [steps, z]), rounding), this.#scalar('none', 0)])
      : this.#sink.op('Add', [this.#round(steps, rounding), z])
    const bounds = [this.#scalar('lowest', spec.quantMin), this.#scalar('highest', spec.quantMax)]
    const clipped = this.#sink.op('Clip', [codes, ...bounds])
    return this.#sink.op('Mul', [this.#sink.op('Sub', [clipped, z]), s])
  }

  levels(x: Value, format: NumberFormat): Value {
    const { scale } = this.#params
    const grid = gridOf(format, must(scale[0], 'scale'))
    if (grid.absolute) {
      if (scale.length > 1) throw badShape(this.#options.name, 'has several grids of levels')
      return this.#nearest(x, grid)
    }
    const s = this.#parameter('step', scale)
    return this.#sink.op('Mul', [this.#nearest(this.#steps(x, s), grid), s])
  }

  #steps(x: Value, scale: Value): Value {
    if (!this.#params.spec.reciprocal) return this.#sink.op('Div', [x, scale])
    const factors = this.#params.scale.map((s) => Math.fround(1 / s))
    return this.#sink.op('Mul', [x, this.#parameter('reciprocal', factors)])
  }

  #round(v: Value, mode: RoundingMode): Value {
    if (mode === 'stochastic') return this.#stochastic(v)
    const { mirrored, steps } = ROUNDING[mode]
    if (!mirrored) return this.#chain(v, steps)
    return this.#sink.op('Mul', [this.#chain(this.#sink.op('Abs', [v]), steps), this.#sink.op('Sign', [v])])
  }

  #chain(v: Value, steps: readonly Step[]): Value {
    return steps.reduce((value, step) => {
      const inputs = typeof step === 'number' ? [value, this.#scalar('factor', step)] : [value]
      return this.#sink.op(typeof step === 'number' ? 'Mul' : step, inputs)
    }, v)
  }

  #stochastic(v: Value): Value {
    const noise = must(this.#options.noise, 'noise for stochastic rounding')
    const floor = this.#sink.op('Floor', [v])
    const up = this.#sink.op('Less', [noise, this.#sink.op('Sub', [v, floor])])
    return this.#sink.op('Add', [floor, this.#sink.op('Cast', [up], { to: attribute.int(dtypeToOnnx('float32')) })])
  }

  /**
   * The level of each element by binary search: each round looks one threshold up, in the table of those that halve what is left, and
   * adds a bit to the index. Memory stays that of the tensor, whatever the number of levels.
   */
  #nearest(v: Value, grid: LevelGrid): Value {
    const rounds = Math.ceil(Math.log2(grid.levels.length))
    const size = 2 ** rounds
    const padded = Float32Array.from({ length: size }, (_, i) => grid.thresholds[i] ?? Infinity)
    const table = (name: string, values: Float32Array) => this.#constant(name, Tensor.float32([values.length], values))
    let index = this.#bit(v, this.#scalar('threshold', padded[size / 2 - 1] as number))
    for (let round = 1; round < rounds; round++) {
      const step = size >> (round + 1)
      const candidates = Float32Array.from({ length: 1 << round }, (_, i) => padded[(2 * i + 1) * step - 1] as number)
      const threshold = this.#sink.op('Gather', [table('thresholds', candidates), index])
      index = this.#sink.op('Add', [this.#sink.op('Add', [index, index]), this.#bit(v, threshold)])
    }
    const levels = Float32Array.from({ length: size }, (_, i) => grid.levels[i] ?? (grid.levels.at(-1) as number))
    return this.#sink.op('Gather', [table('levels', levels), index])
  }

  #bit(v: Value, threshold: Value): Value {
    const reached = this.#sink.op('GreaterOrEqual', [v, threshold])
    return this.#sink.op('Cast', [reached], { to: attribute.int(dtypeToOnnx('int32')) })
  }

  #parameter(name: string, values: readonly number[]): Value {
    const { shape } = this.#options
    return this.#constant(name, broadcastable(values, this.#params.spec.granularity, shape, this.#options.name))
  }

  #scalar(name: string, value: number): Value {
    return this.#constant(name, Tensor.float32([], [value]))
  }

  #constant(name: string, tensor: Tensor): Value {
    return this.#sink.constant(`${this.#options.name}_${name}`, tensor)
  }
}

const badShape = (name: string, what: string) =>
  problem('QUANT_SHAPE', `"${name}" ${what}, which nodes cannot express`, { at: { value: name } })

/** One number per tensor, channel or group as a tensor that broadcasts to `shape`. */
export function broadcastable(
  values: readonly number[],
  granularity: QuantParams['spec']['granularity'],
  shape: readonly unknown[] | undefined,
  name: string,
): Tensor {
  if (granularity.kind === 'tensor') return Tensor.float32([], values)
  if (!shape) throw badShape(name, 'has several scales and no known rank')
  if (granularity.kind === 'channel') {
    const axis = granularity.axis < 0 ? granularity.axis + shape.length : granularity.axis
    return Tensor.float32([values.length, ...shape.slice(axis + 1).map(() => 1)], values)
  }
  if (!shape.every((d) => typeof d === 'number')) throw badShape(name, 'has scales for groups and no fixed shape')
  const dims = shape as readonly number[]
  if (paramCount(dims, granularity) !== values.length) throw badShape(name, 'has another number of groups')
  const spread = new Float32Array(dims.reduce((n, d) => n * d, 1))
  forEachRun(dims, granularity, (start, end, p) => spread.fill(values[p] as number, start, end))
  return Tensor.float32(dims, spread)
}
