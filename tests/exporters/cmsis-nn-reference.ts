/**
 * Runs an exported header in integers: reads its arrays, numbers and structs as text, and computes layer by layer what the documents of
 * CMSIS-NN and TensorFlow Lite's reference kernels say, with 64-bit products and two roundings. Written for tests.
 */
export function runHeader(text: string, input: readonly number[]): Int8Array {
  const header = new Header(text)
  const tensors = new Map<number, Int8Array>([[header.end('input'), Int8Array.from(input)]])
  for (const layer of header.layers()) {
    const operands = layer.reads.map((i) => tensors.get(i) as Int8Array)
    tensors.set(layer.writes, Int8Array.from(new Kernel(header, layer.prefix).run(layer.type, operands)))
  }
  return tensors.get(header.end('output')) as Int8Array
}

interface LayerText {
  readonly type: string
  readonly prefix: string
  readonly reads: readonly number[]
  readonly writes: number
}

export class Header {
  readonly #text: string
  readonly #prefix: string

  constructor(text: string) {
    this.#text = text
    this.#prefix = /#define (\w+?)_tensor_\d+_size/.exec(text)?.[1] ?? ''
  }

  end(kind: 'input' | 'output'): number {
    return Number(new RegExp(`tensor (\\d+), ${kind}:`).exec(this.#text)?.[1])
  }

  layers(): LayerText[] {
    const found = this.#text.matchAll(/\/\* layer (\d+): (\w+), .*?; tensor ([\d, ]*) to (\d+) \*\//g)
    return [...found].map(([, i, type = '', reads = '', writes]) => ({
      type,
      prefix: `${this.#prefix}_${i}`,
      reads: reads.split(', ').map(Number),
      writes: Number(writes),
    }))
  }

  number(name: string): number {
    return Number(new RegExp(`#define ${name} \\((.*?)f?\\)`).exec(this.#text)?.[1])
  }

  array(name: string): number[] | undefined {
    const body = new RegExp(`${name}\\[\\d+\\] = \\{([^}]*)\\}`).exec(this.#text)?.[1]
    return body?.split(',').map(Number)
  }

  /** Numbers of a struct by field, those of a struct within as `field.part`. */
  struct(name: string): Record<string, number> {
    const body = new RegExp(` ${name} = \\{(.*)\\};`).exec(this.#text)?.[1] ?? ''
    const values: Record<string, number> = {}
    for (const [, field, inner, value] of body.matchAll(/\.(\w+) = (?:\{([^}]*)\}|(-?\w+))/g)) {
      if (inner === undefined) values[field as string] = Number(value)
      else for (const [, part, v] of inner.matchAll(/\.(\w+) = (-?\d+)/g)) values[`${field}.${part}`] = Number(v)
    }
    return values
  }
}

/** SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT: halves away from zero. */
function requantize(x: number, multiplier: number, shift: number): number {
  const product = BigInt(x) * 2n ** BigInt(Math.max(shift, 0)) * BigInt(multiplier)
  const nudge = product >= 0n ? 1n << 30n : 1n - (1n << 30n)
  const high = Number((product + nudge) / (1n << 31n))
  const right = Math.max(-shift, 0)
  const [mask, floor] = [2 ** right - 1, Math.floor(high / 2 ** right)]
  const rest = high - floor * 2 ** right
  return floor + (rest > (mask >> 1) + (high < 0 ? 1 : 0) ? 1 : 0)
}

class Kernel {
  readonly #header: Header
  readonly #prefix: string

  constructor(header: Header, prefix: string) {
    this.#header = header
    this.#prefix = prefix
  }

  run(type: string, operands: readonly Int8Array[]): number[] {
    const [x = new Int8Array()] = operands
    if (type === 'CONV_2D' || type === 'DEPTHWISE_CONV_2D') return this.#convolve(x, type !== 'CONV_2D')
    if (type === 'FULLY_CONNECTED') return this.#connect(x)
    if (type === 'ADD') return this.#add(operands)
    if (type === 'MAX_POOL_2D' || type === 'AVERAGE_POOL_2D' || type === 'MEAN')
      return this.#pool(x, type === 'MAX_POOL_2D')
    if (type === 'RESHAPE') return [...x]
    if (type === 'PAD' || type === 'PADV2') return this.#pad(x)
    if (type === 'TRANSPOSE') return this.#transpose(x)
    throw new Error(`no ${type} here`)
  }

  #array = (name: string): number[] => this.#header.array(`${this.#prefix}_${name}`) ?? []
  #number = (name: string): number => this.#header.number(`${this.#prefix}_${name}`)
  #struct = (name: string) => {
    const { n = 1, h = 1, w = 1, c = 1 } = this.#header.struct(`${this.#prefix}_${name}`)
    return { n, h, w, c }
  }
  #dims = (name: string) => this.#struct(`${name}_dims`)
  #params = () => this.#header.struct(`${this.#prefix}_params`)

  #finish(sum: number, c: number): number {
    const p = this.#params()
    const [multiplier, shift] = [this.#array('multiplier'), this.#array('shift')]
    const at = multiplier.length === 1 ? 0 : c
    const y = requantize(sum, multiplier[at] as number, shift[at] as number) + (p.output_offset as number)
    return Math.min(Math.max(y, p['activation.min'] as number), p['activation.max'] as number)
  }

  *#window(y: number, x: number, dilated: boolean) {
    const [p, f, i] = [this.#params(), this.#dims('filter'), this.#dims('input')]
    const step = (part: string) => (dilated ? (p[`dilation.${part}`] as number) : 1)
    for (let ky = 0; ky < f.h; ky++) {
      for (let kx = 0; kx < f.w; kx++) {
        const iy = y * (p['stride.h'] as number) - (p['padding.h'] as number) + ky * step('h')
        const ix = x * (p['stride.w'] as number) - (p['padding.w'] as number) + kx * step('w')
        if (iy >= 0 && iy < i.h && ix >= 0 && ix < i.w) yield { ky, kx, at: (iy * i.w + ix) * i.c }
      }
    }
  }

  #convolve(x: Int8Array, depthwise: boolean): number[] {
    const [p, f, i, o] = [this.#params(), this.#dims('filter'), this.#dims('input'), this.#dims('output')]
    const [weights, bias] = [this.#array('weights'), this.#array('bias')]
    const out: number[] = []
    for (let pixel = 0; pixel < o.h * o.w; pixel++) {
      const windows = [...this.#window(Math.floor(pixel / o.w), pixel % o.w, true)]
      for (let c = 0; c < o.c; c++) {
        let sum = bias[c] as number
        for (const { ky, kx, at } of windows) {
          const channels = depthwise
            ? [Math.floor(c / (p.ch_mult as number))]
            : Array.from({ length: i.c }, (_, k) => k)
          for (const k of channels) {
            const w = depthwise ? (ky * f.w + kx) * f.c + c : ((c * f.h + ky) * f.w + kx) * f.c + k
            sum += ((x[at + k] as number) + (p.input_offset as number)) * (weights[w] as number)
          }
        }
        out.push(this.#finish(sum, c))
      }
    }
    return out
  }

  #connect(x: Int8Array): number[] {
    const [p, f] = [this.#params(), this.#dims('filter')]
    const [weights, bias] = [this.#array('weights'), this.#array('bias')]
    return Array.from({ length: (x.length / f.n) * f.c }, (_, i) => {
      const [row, c] = [Math.floor(i / f.c), i % f.c]
      let sum = bias[c] as number
      for (let k = 0; k < f.n; k++)
        sum += ((x[row * f.n + k] as number) + (p.input_offset as number)) * (weights[c * f.n + k] as number)
      return this.#finish(sum, c)
    })
  }

  #add(operands: readonly Int8Array[]): number[] {
    const [a, b] = [operands[0] as Int8Array, operands[1] ?? Int8Array.from(this.#array('input_2'))]
    const scaled = (i: 1 | 2, q: number) =>
      requantize(
        (q + this.#number(`input_${i}_offset`)) * 2 ** this.#number('left_shift'),
        this.#number(`input_${i}_mult`),
        this.#number(`input_${i}_shift`),
      )
    return Array.from(a, (q, i) => {
      const sum = scaled(1, q) + scaled(2, b[i] as number)
      const y = requantize(sum, this.#number('out_mult'), this.#number('out_shift')) + this.#number('out_offset')
      return Math.min(Math.max(y, this.#number('out_activation_min')), this.#number('out_activation_max'))
    })
  }

  #pool(x: Int8Array, largest: boolean): number[] {
    const o = this.#dims('output')
    return Array.from({ length: o.h * o.w * o.c }, (_, i) => {
      const [pixel, c] = [Math.floor(i / o.c), i % o.c]
      const values = [...this.#window(Math.floor(pixel / o.w), pixel % o.w, false)].map(({ at }) => x[at + c] as number)
      if (largest) return Math.max(...values)
      const sum = values.reduce((a, b) => a + b, 0)
      return Math.trunc((sum + Math.sign(sum) * Math.floor(values.length / 2)) / values.length)
    })
  }

  #pad(x: Int8Array): number[] {
    const [i, before, after] = [this.#dims('input'), this.#struct('pre_pad'), this.#struct('post_pad')]
    const [h, w, c] = [i.h + before.h + after.h, i.w + before.w + after.w, i.c]
    return Array.from({ length: h * w * c }, (_, flat) => {
      const [y, k, col] = [Math.floor(flat / (w * c)) - before.h, flat % c, (Math.floor(flat / c) % w) - before.w]
      const inside = y >= 0 && y < i.h && col >= 0 && col < i.w
      return inside ? (x[(y * i.w + col) * c + k] as number) : this.#number('pad_value')
    })
  }

  #transpose(x: Int8Array): number[] {
    const [i, o, perm] = [this.#dims('input'), this.#dims('output'), this.#array('permutations')]
    const [from, to] = [
      [i.n, i.h, i.w, i.c],
      [o.n, o.h, o.w, o.c],
    ]
    return Array.from(x, (_, flat) => {
      const at = to.map(
        (_d, axis) => Math.floor(flat / to.slice(axis + 1).reduce((n, d) => n * d, 1)) % (to[axis] as number),
      )
      return x[from.reduce((sum, d, axis) => sum * d + (at[perm.indexOf(axis)] as number), 0)] as number
    })
  }
}
