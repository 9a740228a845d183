import { roundHalfEven } from '@fewbit/core/util'
import type { TfGraph, TfOperator, TfTensor } from '../../packages/core/src/exporters/tflite/graph.ts'
import { ACTIVATION, PADDING } from '../../packages/core/src/exporters/tflite/schema.ts'

/**
 * TFLite's int8 specification in real numbers, written for tests: every operator computes on what its tensors mean, in float64, and
 * its result is rounded to the codes of the result. Images are NHWC. It knows nothing of ONNX.
 */
export function runReference(graph: TfGraph, inputs: readonly (readonly number[])[]): number[][] {
  const values = graph.tensors.map((t) => (t.data ? meaning(t) : []))
  graph.inputs.forEach((index, i) => {
    values[index] = onGrid(graph.tensors[index] as TfTensor, inputs[i] ?? [])
  })
  for (const op of graph.operators) {
    const machine = new Machine(graph, values, op)
    machine.results().forEach((result, i) => {
      const tensor = graph.tensors[op.outputs[i] as number] as TfTensor
      values[op.outputs[i] as number] = onGrid(tensor, result)
    })
  }
  return graph.outputs.map((index) => values[index] ?? [])
}

/** What stored elements mean. */
function meaning(t: TfTensor): number[] {
  const bytes = (t.data ?? new Uint8Array()).slice()
  const stored =
    t.type === 'INT8'
      ? new Int8Array(bytes.buffer)
      : t.type === 'INT32'
        ? new Int32Array(bytes.buffer)
        : new Float32Array(bytes.buffer)
  const q = t.quantization
  if (!q) return Array.from(stored)
  const inner = t.shape.slice(q.axis + 1).reduce((n, d) => n * d, 1)
  const at = (i: number) => (q.scale.length === 1 ? 0 : Math.floor(i / inner) % q.scale.length)
  return Array.from(stored, (v, i) => (v - (q.zeroPoint[at(i)] as number)) * (q.scale[at(i)] as number))
}

function onGrid(t: TfTensor, x: readonly number[]): number[] {
  if (t.type !== 'INT8') return [...x]
  const [scale, zero] = [t.quantization?.scale[0] as number, t.quantization?.zeroPoint[0] as number]
  return x.map((v) => (Math.min(Math.max(roundHalfEven(v / scale) + zero, -128), 127) - zero) * scale)
}

class Machine {
  readonly #graph: TfGraph
  readonly #values: readonly (readonly number[])[]
  readonly #op: TfOperator

  constructor(graph: TfGraph, values: readonly (readonly number[])[], op: TfOperator) {
    this.#graph = graph
    this.#values = values
    this.#op = op
  }

  results(): number[][] {
    const run = this[this.#op.type as 'ADD'] as (() => number[]) | undefined
    if (!run) throw new Error(`the reference has no ${this.#op.type}`)
    const made = run.call(this)
    if (made.length !== this.#shape('out').reduce((n, d) => n * d, 1))
      throw new Error(`${this.#op.type} made ${made.length} elements`)
    return [this.#clipped(made)]
  }

  #x = (i = 0): readonly number[] => this.#values[this.#op.inputs[i] as number] ?? []
  #shape = (i: number | 'out'): readonly number[] =>
    this.#graph.tensors[(i === 'out' ? this.#op.outputs[0] : this.#op.inputs[i]) as number]?.shape ?? []
  #option = (name: string): number => this.#op.options[name] ?? 0

  #clipped(y: number[]): number[] {
    const kind = this.#option('activation')
    const lo = kind === ACTIVATION.NONE ? -Infinity : kind === ACTIVATION.RELU_N1_TO_1 ? -1 : 0
    const hi = kind === ACTIVATION.RELU6 ? 6 : kind === ACTIVATION.RELU_N1_TO_1 ? 1 : Infinity
    return y.map((v) => Math.min(Math.max(v, lo), hi))
  }

  /** Visits the elements that a window covers: flat index of the result's pixel, of the input's pixel, and the place in the kernel. */
  #windows(kh: number, kw: number, visit: (out: number, at: number, ky: number, kx: number) => void): void {
    const [, h = 1, w = 1] = this.#shape(0)
    const [n = 1, oh = 1, ow = 1] = this.#shape('out')
    const [sh, sw] = [this.#option('strideH'), this.#option('strideW')]
    const [dh, dw] = [this.#op.options.dilationH ?? 1, this.#op.options.dilationW ?? 1]
    const same = this.#option('padding') === PADDING.SAME
    const before = (out: number, stride: number, size: number, k: number, d: number) =>
      same ? Math.floor(Math.max((out - 1) * stride + (k - 1) * d + 1 - size, 0) / 2) : 0
    const [top, left] = [before(oh, sh, h, kh, dh), before(ow, sw, w, kw, dw)]
    for (let b = 0; b < n; b++)
      for (let y = 0; y < oh; y++)
        for (let x = 0; x < ow; x++)
          for (let ky = 0; ky < kh; ky++)
            for (let kx = 0; kx < kw; kx++) {
              const [iy, ix] = [y * sh - top + ky * dh, x * sw - left + kx * dw]
              if (iy >= 0 && iy < h && ix >= 0 && ix < w) visit((b * oh + y) * ow + x, (b * h + iy) * w + ix, ky, kx)
            }
  }

  CONV_2D(): number[] {
    const [o = 1, kh = 1, kw = 1, c = 1] = this.#shape(1)
    const [x, weight, bias] = [this.#x(), this.#x(1), this.#x(2)]
    const out = new Array<number>(this.#shape('out').reduce((n, d) => n * d, 1))
      .fill(0)
      .map((_, i) => bias[i % o] as number)
    this.#windows(kh, kw, (to, at, ky, kx) => {
      for (let f = 0; f < o; f++)
        for (let k = 0; k < c; k++)
          (out[to * o + f] as number) +=
            (x[at * c + k] as number) * (weight[((f * kh + ky) * kw + kx) * c + k] as number)
    })
    return out
  }

  DEPTHWISE_CONV_2D(): number[] {
    const [, kh = 1, kw = 1, o = 1] = this.#shape(1)
    const c = this.#shape(0)[3] as number
    const [x, weight, bias, m] = [this.#x(), this.#x(1), this.#x(2), this.#option('depthMultiplier')]
    const out = new Array<number>(this.#shape('out').reduce((n, d) => n * d, 1))
      .fill(0)
      .map((_, i) => bias[i % o] as number)
    this.#windows(kh, kw, (to, at, ky, kx) => {
      for (let f = 0; f < o; f++)
        (out[to * o + f] as number) +=
          (x[at * c + Math.floor(f / m)] as number) * (weight[(ky * kw + kx) * o + f] as number)
    })
    return out
  }

  FULLY_CONNECTED(): number[] {
    const [o = 1, k = 1] = this.#shape(1)
    const [x, weight, bias] = [this.#x(), this.#x(1), this.#x(2)]
    return Array.from({ length: (x.length / k) * o }, (_, i) => {
      const [row, f] = [Math.floor(i / o), i % o]
      let sum = bias[f] as number
      for (let j = 0; j < k; j++) sum += (x[row * k + j] as number) * (weight[f * k + j] as number)
      return sum
    })
  }

  #pool(start: number, join: (a: number, b: number) => number): { sums: number[]; counts: number[] } {
    const c = this.#shape(0)[3] as number
    const size = this.#shape('out').reduce((n, d) => n * d, 1)
    const [sums, counts] = [new Array<number>(size).fill(start), new Array<number>(size).fill(0)]
    this.#windows(this.#option('filterH'), this.#option('filterW'), (to, at) => {
      for (let k = 0; k < c; k++) {
        sums[to * c + k] = join(sums[to * c + k] as number, this.#x()[at * c + k] as number)
        counts[to * c + k] = (counts[to * c + k] as number) + 1
      }
    })
    return { sums, counts }
  }

  MAX_POOL_2D = (): number[] => this.#pool(-Infinity, Math.max).sums
  AVERAGE_POOL_2D = (): number[] => {
    const { sums, counts } = this.#pool(0, (a, b) => a + b)
    return sums.map((s, i) => s / (counts[i] as number))
  }

  /** Elements of operand i at the places of the result, with broadcasting. */
  #spread(i: number): number[] {
    const [shape, out] = [this.#shape(i), this.#shape('out')]
    const x = this.#x(i)
    return places(out).map(
      (at) =>
        x[
          flat(
            shape,
            at.slice(at.length - shape.length).map((p, a) => (shape[a] === 1 ? 0 : p)),
          )
        ] as number,
    )
  }

  #both = (f: (a: number, b: number) => number): number[] => {
    const b = this.#spread(1)
    return this.#spread(0).map((a, i) => f(a, b[i] as number))
  }

  ADD = (): number[] => this.#both((a, b) => a + b)
  MUL = (): number[] => this.#both((a, b) => a * b)
  MAXIMUM = (): number[] => this.#both(Math.max)
  MINIMUM = (): number[] => this.#both(Math.min)
  RELU = (): number[] => this.#x().map((v) => Math.max(v, 0))
  LOGISTIC = (): number[] => this.#x().map((v) => 1 / (1 + Math.exp(-v)))
  QUANTIZE = (): number[] => [...this.#x()]
  DEQUANTIZE = (): number[] => [...this.#x()]
  RESHAPE = (): number[] => [...this.#x()]

  SOFTMAX(): number[] {
    const c = this.#shape(0).at(-1) as number
    const rows = Array.from({ length: this.#x().length / c }, (_, r) => this.#x().slice(r * c, (r + 1) * c))
    return rows.flatMap((row) => {
      const e = row.map((v) => Math.exp(v - Math.max(...row)))
      return e.map((v) => v / e.reduce((a, b) => a + b, 0))
    })
  }

  MEAN(): number[] {
    const [shape, axes] = [this.#shape(0), this.#x(1)]
    const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d))
    const sums = new Array<number>(kept.reduce((n, d) => n * d, 1)).fill(0)
    places(shape).forEach((at, i) => {
      const to = flat(
        kept,
        at.map((p, a) => (axes.includes(a) ? 0 : p)),
      )
      sums[to] = (sums[to] as number) + (this.#x()[i] as number)
    })
    return sums.map((s) => s / (this.#x().length / sums.length))
  }

  TRANSPOSE(): number[] {
    const [shape, perm] = [this.#shape(0), this.#x(1)]
    return places(this.#shape('out')).map(
      (at) =>
        this.#x()[
          flat(
            shape,
            shape.map((_, axis) => at[perm.indexOf(axis)] as number),
          )
        ] as number,
    )
  }

  CONCATENATION(): number[] {
    const axis = this.#option('axis')
    return places(this.#shape('out')).map((at) => {
      let [i, rest] = [0, at[axis] as number]
      while (rest >= (this.#shape(i)[axis] as number)) rest -= this.#shape(i++)[axis] as number
      return this.#x(i)[flat(this.#shape(i), at.with(axis, rest))] as number
    })
  }

  PAD(): number[] {
    const [shape, amounts] = [this.#shape(0), this.#x(1)]
    return places(this.#shape('out')).map((at) => {
      const from = at.map((p, a) => p - (amounts[2 * a] as number))
      return from.every((p, a) => p >= 0 && p < (shape[a] as number)) ? (this.#x()[flat(shape, from)] as number) : 0
    })
  }

  DEPTH_TO_SPACE(): number[] {
    const [b, c] = [this.#option('blockSize'), this.#shape('out')[3] as number]
    return places(this.#shape('out')).map(
      ([n = 0, y = 0, x = 0, k = 0]) =>
        this.#x()[
          flat(this.#shape(0), [n, Math.floor(y / b), Math.floor(x / b), ((y % b) * b + (x % b)) * c + k])
        ] as number,
    )
  }

  SPACE_TO_DEPTH(): number[] {
    const [b, c] = [this.#option('blockSize'), this.#shape(0)[3] as number]
    return places(this.#shape('out')).map(([n = 0, y = 0, x = 0, k = 0]) => {
      const block = Math.floor(k / c)
      return this.#x()[flat(this.#shape(0), [n, y * b + Math.floor(block / b), x * b + (block % b), k % c])] as number
    })
  }

  RESIZE_NEAREST_NEIGHBOR(): number[] {
    const [from, to] = [this.#shape(0), this.#shape('out')]
    const at = (p: number, axis: number) => Math.floor((p * (from[axis] as number)) / (to[axis] as number))
    return places(to).map(([n = 0, y = 0, x = 0, k = 0]) => this.#x()[flat(from, [n, at(y, 1), at(x, 2), k])] as number)
  }
}

const flat = (shape: readonly number[], at: readonly number[]): number =>
  shape.reduce((sum, d, i) => sum * d + (at[i] as number), 0)

function places(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, d) => all.flatMap((at) => Array.from({ length: d }, (_, i) => [...at, i])),
    [[]],
  )
}
