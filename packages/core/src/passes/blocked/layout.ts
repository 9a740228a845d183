import { asTensor, attribute, type GraphBuilder, isStatic, type Node, Tensor, type Value } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { intsAttribute } from '../node-attributes.ts'

/** Domain of ONNX Runtime's operators on blocked maps. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc'

/** Sizes of a value that is known to have some. */
export function sizesOf(value: Value): readonly number[] | undefined {
  const shape = asTensor(value.type)?.shape
  return isStatic(shape) ? shape : undefined
}

/**
 * Writes values from and to the layout [N, C/b, H, W, b], in which b channels lie side by side. The engine declares such values as
 * [N, C, H, W] all the same.
 */
export class BlockedLayout {
  readonly block: number
  readonly builder: GraphBuilder
  /** Blocked twins of maps. */
  readonly #twins = new Map<Value, Value>()

  constructor(builder: GraphBuilder, block: number) {
    this.builder = builder
    this.block = block
  }

  twin(map: Value): Value | undefined {
    return this.#twins.get(map)
  }

  setTwin(map: Value, blocked: Value): void {
    this.#twins.set(map, blocked)
  }

  /** The blocked twin of a map [N, C, H, W], whose channels fill blocks. */
  blocked(map: Value): Value {
    const known = this.#twins.get(map)
    if (known) return known
    const twin = this.#op('ReorderInput', [map])
    this.#twins.set(map, twin)
    return twin
  }

  plain(blocked: Value, channels: number): Value {
    return this.#op('ReorderOutput', [blocked], { channels: attribute.int(channels) })
  }

  /**
   * A convolution's weight [M, C, H, W] as [M/b, C/b, H, W, b of C, b of M]. Where it is a transposed map, as in the gradient by a weight,
   * the map's twin is most of the way, and the same twin serves the gradient by the data.
   */
  weight(w: Value): Value {
    const [outputs, inputs, ...kernel] = must(sizesOf(w), 'sizes of the weight') as [number, number, ...number[]]
    const { block: b } = this
    const taps = kernel.reduce((n, k) => n * k, 1)
    const map = transposedMap(w)
    const pieces = map
      ? this.#transpose(this.reshape(this.blocked(map), [inputs / b, b, outputs / b, taps, b]), [2, 0, 3, 1, 4])
      : this.#transpose(this.#rows(w, outputs, [inputs / b, b, taps, b]), [0, 1, 3, 2, 4])
    return this.reshape(pieces, [outputs, inputs, ...kernel])
  }

  /**
   * A weight [M, C, H, W] of few C as [M/b, C, H, W, b of M]. Where it is a map of which a few samples at a time are a group, as in the gradient
   * by a weight, the map's twin needs no more than its samples and blocks exchanged, and the same twin serves the gradient by the data.
   */
  thinWeight(w: Value): Value {
    const dims = must(sizesOf(w), 'sizes of the weight')
    const parts = partedMap(w)
    const [groups = 0, samples = 0, outputs = 0] = parts?.sizes ?? []
    if (parts && outputs % this.block === 0) {
      const apart = this.reshape(this.blocked(parts.map), [groups, samples, outputs / this.block, -1])
      return this.reshape(outputs === this.block ? apart : this.#transpose(apart, [0, 2, 1, 3]), dims)
    }
    return this.reshape(this.#rows(w, dims[0] as number, [-1]), dims)
  }

  /** [M, rest] as [M/b, rest, b of M], the rest cut up. */
  #rows(w: Value, outputs: number, rest: readonly number[]): Value {
    const flat = this.reshape(w, [1, outputs, -1, 1])
    return this.reshape(this.#op('ReorderInput', [flat]), [outputs / this.block, ...rest])
  }

  /** Pads the width with zeros, which the engine's kernels do only at the cost of one position at a time. */
  padWidth(x: Value, begin: number, end: number): Value {
    return this.builder.op('Pad', [x, this.#ints([0, 0, 0, begin, 0, 0, 0, end])])
  }

  #op(type: string, inputs: readonly Value[], attributes: Parameters<GraphBuilder['op']>[2] = {}): Value {
    return this.builder.op(type, inputs, attributes, { domain: BLOCKED_DOMAIN })
  }

  reshape(x: Value, dims: readonly number[]): Value {
    return this.builder.op('Reshape', [x, this.#ints(dims)])
  }

  #transpose(x: Value, perm: readonly number[]): Value {
    return this.builder.op('Transpose', [x], { perm: attribute.ints(perm) })
  }

  #ints(values: readonly number[]): Value {
    return this.builder.constant('blocked_ints', Tensor.int64([values.length], values))
  }
}

/** The map [N, M, H, W] of a weight [G·M, N/G, H, W], and the sizes [G, N/G, M, H, W] in between. */
function partedMap(w: Value): { map: Value; sizes: readonly number[] } | undefined {
  const turned = producerOf(w, 'Reshape')?.inputs[0]
  const exchange = producerOf(turned, 'Transpose')
  const apart = producerOf(exchange?.inputs[0], 'Reshape')
  const [map, sizes] = [apart?.inputs[0], exchange?.inputs[0] && sizesOf(exchange.inputs[0])]
  if (!exchange || !map || sizes?.length !== 5 || intsAttribute(exchange, 'perm')?.join() !== '0,2,1,3,4')
    return undefined
  const whole = sizesOf(map)
  const [groups = 0, samples = 0, ...rest] = sizes
  return whole?.join() === [groups * samples, ...rest].join() ? { map, sizes } : undefined
}

const producerOf = (value: Value | null | undefined, type: string): Node | undefined =>
  value?.producer?.qualifiedType === type ? value.producer : undefined

/** The map of which a weight is the transposed one, samples and channels exchanged. */
function transposedMap(w: Value): Value | undefined {
  const swap = producerOf(w, 'Transpose')
  return swap && intsAttribute(swap, 'perm')?.join() === '1,0,2,3' ? (swap.inputs[0] ?? undefined) : undefined
}
