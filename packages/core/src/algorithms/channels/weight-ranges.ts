import type { Tensor } from '../../ir/index.ts'
import type { ChannelGraph } from './graph.ts'
import type { ScaledConstant } from './tracer.ts'

/** Largest magnitude of the weights between two classes of channels of one layer. */
interface Link {
  /** Index of the layer. */
  readonly layer: number
  /** Class at the other side; 0 where it is fixed. */
  readonly other: number
  readonly range: number
}

/** The weights that make and read one class of channels. */
export interface ClassLinks {
  readonly makers: readonly Link[]
  readonly readers: readonly Link[]
}

/**
 * Weight ranges by class, in the order in which the network makes the channels.
 * @param threshold layers in which a class has less than this share of the largest weight do not count for it.
 */
export function weightRanges({ constants, classes }: ChannelGraph, threshold: number): Map<number, ClassLinks> {
  const byClass = new Map<number, { makers: Link[]; readers: Link[] }>()
  const links = (id: number) => {
    const known = byClass.get(id) ?? { makers: [], readers: [] }
    byClass.set(id, known)
    return known
  }
  const layers = constants.filter(({ role }) => role === 'weight')
  for (const [layer, constant] of layers.entries()) {
    for (const [key, range] of rangesBetween(constant, (id) => classes.find(id), classes.count)) {
      const [up, down] = [Math.floor(key / classes.count), key % classes.count]
      if (up === down || range === 0) continue
      if (up !== 0) links(up).makers.push({ layer, other: down, range })
      if (down !== 0) links(down).readers.push({ layer, other: up, range })
    }
  }
  const floor = layers.map(({ tensor }) => threshold * largestMagnitude(tensor))
  const ordered = [...byClass].sort(([a], [b]) => a - b)
  return new Map(
    ordered.map(([id, { makers, readers }]) => [id, { makers: above(makers, floor), readers: above(readers, floor) }]),
  )
}

/** Without the layers in which no link reaches the layer's floor. */
function above(links: readonly Link[], floor: readonly number[]): Link[] {
  const seen = new Set(links.filter(({ layer, range }) => range >= (floor[layer] as number)).map(({ layer }) => layer))
  return links.filter(({ layer }) => seen.has(layer))
}

export function largestMagnitude(tensor: Tensor): number {
  let most = 0
  for (const w of tensor.numbers()) most = Math.max(most, Math.abs(w))
  return most
}

/** Largest |w| for each pair of classes, under the key `up · count + down`. */
function rangesBetween({ tensor, up, down }: ScaledConstant, find: (id: number) => number, count: number) {
  const ranges = new Map<number, number>()
  for (const [i, w] of tensor.numbers().entries()) {
    const key = find(up(i)) * count + find(down(i))
    ranges.set(key, Math.max(ranges.get(key) ?? 0, Math.abs(w)))
  }
  return ranges
}

/**
 * Range of a class over the layers on one side, under the factors so far: in each layer the largest weight, over layers the geometric
 * mean, which does not depend on how large one layer's weights are as a whole.
 * @param exponent of the other side's factor: −1 where that side is divided out (the class is made), 1 where it multiplies (it is read).
 */
export function classRange(links: readonly Link[], factors: Float64Array, exponent: 1 | -1): number {
  const byLayer = new Map<number, number>()
  for (const { layer, other, range } of links) {
    const scaled = range * (factors[other] as number) ** exponent
    byLayer.set(layer, Math.max(byLayer.get(layer) ?? 0, scaled))
  }
  const logs = [...byLayer.values()].map(Math.log)
  return Math.exp(logs.reduce((a, b) => a + b, 0) / logs.length)
}
