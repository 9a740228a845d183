import { reduceAxes } from '../../calibration/index.ts'
import type { Feeds } from '../../engine/index.ts'
import { asTensor, attribute, GraphBuilder, type Model, type Value, valuesByName } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import type { BiasedLayer } from '../linear-bias.ts'

/** Means over samples and positions of each channel of a layer's output, over all runs and over every second one. */
export class ChannelMeans {
  readonly #halves: readonly [Half, Half]

  constructor(channels: number) {
    this.#halves = [new Half(channels), new Half(channels)]
  }

  /** Adds the means of one run of `samples` samples. */
  add(run: number, samples: number, { mean, square }: RunMeans): void {
    this.#halves[run % 2 === 0 ? 0 : 1].add(samples, mean, square)
  }

  get mean(): Float64Array {
    return combined(this.#halves, ({ means }) => means)
  }

  /** E[y²] − E[y]², where squares were measured. */
  get variance(): Float64Array {
    const { mean } = this
    return combined(this.#halves, ({ squares }) => squares).map((s, c) => Math.max(0, s - (mean[c] as number) ** 2))
  }

  /** The means of the even and the odd runs; nothing where there was one run only. */
  get halves(): readonly [Float64Array, Float64Array] | undefined {
    const [even, odd] = this.#halves
    return odd.samples > 0 ? [combined([even], ({ means }) => means), combined([odd], ({ means }) => means)] : undefined
  }
}

export interface RunMeans {
  readonly mean: ArrayLike<number>
  readonly square?: ArrayLike<number>
}

class Half {
  samples = 0
  readonly means: Float64Array
  readonly squares: Float64Array

  constructor(channels: number) {
    this.means = new Float64Array(channels)
    this.squares = new Float64Array(channels)
  }

  add(samples: number, mean: ArrayLike<number>, square: ArrayLike<number> = []): void {
    this.samples += samples
    for (let c = 0; c < mean.length; c++) {
      this.means[c] = (this.means[c] as number) + samples * (mean[c] as number)
      this.squares[c] = (this.squares[c] as number) + samples * (square[c] ?? 0)
    }
  }
}

function combined(halves: readonly Half[], of: (half: Half) => Float64Array): Float64Array {
  const total = halves.reduce((n, { samples }) => n + samples, 0)
  const first = must(halves[0], 'half')
  return of(first).map((_, c) => halves.reduce((sum, half) => sum + (of(half)[c] as number), 0) / total)
}

/** What a model with reducers hands over of one layer. */
export interface MeanOutputs {
  readonly layer: BiasedLayer
  readonly mean: string
  readonly square?: string
}

/**
 * Puts reducers on the outputs of layers, in place, and makes their results outputs of the graph: float32 vectors of the channels' means
 * and, with `squares`, of the means of squares.
 */
export function addMeans(model: Model, layers: readonly BiasedLayer[], squares: boolean): MeanOutputs[] {
  const builder = new GraphBuilder(model.graph)
  const values = valuesByName(model.graph)
  return layers.map((layer) => {
    const value = single(builder, must(values.get(layer.output.name), `output of "${layer.node.name}"`))
    const axes = Array.from({ length: layer.rank }, (_, axis) => axis).filter((axis) => axis !== layer.axis)
    const mean = (of: Value) => builder.output(reduceAxes(builder, model.opset(), 'ReduceMean', of, axes)).name
    return { layer, mean: mean(value), ...(squares ? { square: mean(builder.op('Mul', [value, value])) } : {}) }
  })
}

const single = (builder: GraphBuilder, value: Value): Value =>
  (asTensor(value.type)?.dtype ?? 'float32') === 'float32'
    ? value
    : builder.op('Cast', [value], { to: attribute.int(1) })

/** The means of one run. */
export function meansOf(outputs: Feeds, { mean, square }: MeanOutputs): RunMeans {
  const numbers = (name: string) => must(outputs[name], `output "${name}"`).numbers()
  return { mean: numbers(mean), ...(square === undefined ? {} : { square: numbers(square) }) }
}
