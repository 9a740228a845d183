import type { Attribute, Model, Node, Value } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { digest } from '../../util/index.ts'
import { areComparable } from '../pairs.ts'
import { type Checkpoint, checkpoints } from './checkpoint.ts'

/** One tensor of two networks. */
export interface MatchedPair {
  readonly reference: Checkpoint
  readonly candidate: Checkpoint
  readonly by: 'name' | 'structure'
}

/**
 * Pairs the tensors of two networks, in the order of the second: by name, and those that are left by how they are computed. Names of others
 * decide nothing where shapes contradict each other.
 */
export function matchCheckpoints(reference: Model, candidate: Model, ops: OpRegistry): MatchedPair[] {
  const known = checkpoints(reference, ops)
  const byName = new Map(known.map((point) => [point.name, point]))
  const pairs = new Map<Checkpoint, MatchedPair>()
  const points = checkpoints(candidate, ops)
  for (const point of points) {
    const match = byName.get(point.name)
    if (match && areComparable(match.fed, point.fed))
      pairs.set(point, { reference: match, candidate: point, by: 'name' })
  }
  const taken = new Set([...pairs.values()].map((pair) => pair.reference))
  const structures = new Structures(ops)
  const free = groupBy(
    known.filter((point) => !taken.has(point)),
    (point) => structures.of(point.fed),
  )
  for (const point of points) {
    if (pairs.has(point)) continue
    const match = free.get(structures.of(point.fed))?.shift()
    if (match && areComparable(match.fed, point.fed))
      pairs.set(point, { reference: match, candidate: point, by: 'structure' })
  }
  return points.flatMap((point) => pairs.get(point) ?? [])
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(key(item))
    if (group) group.push(item)
    else groups.set(key(item), [item])
  }
  return groups
}

/**
 * What a tensor is computed from, as a hash that knows no names but those of graph inputs: operators, attributes, the shapes of constants,
 * and the same of the inputs. Quantizers and identities are looked through.
 */
class Structures {
  readonly #ops: OpRegistry
  readonly #known = new Map<Value, string>()

  constructor(ops: OpRegistry) {
    this.#ops = ops
  }

  of(value: Value): string {
    // An explicit stack: deep networks would overflow the call stack.
    const stack = [value]
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const waiting = this.#known.has(top) ? [] : this.#sources(top).filter((source) => !this.#known.has(source))
      if (waiting.length > 0) stack.push(...waiting)
      else {
        stack.pop()
        if (!this.#known.has(top)) this.#known.set(top, this.#describe(top))
      }
    }
    return this.#known.get(value) as string
  }

  #sources({ producer }: Value): Value[] {
    if (!producer) return []
    return (this.#isPassedThrough(producer) ? producer.inputs.slice(0, 1) : producer.inputs).filter((v) => v !== null)
  }

  #describe(value: Value): string {
    const { producer, constant } = value
    if (constant) return `constant ${constant.dims.join()}`
    if (!producer) return `input ${value.name}`
    const inputs = this.#sources(value).map((source) => this.#known.get(source))
    if (this.#isPassedThrough(producer)) return inputs[0] ?? ''
    const attributes = [...producer.attributes].sort(([a], [b]) => (a < b ? -1 : 1)).map(attributeText)
    const place = producer.outputs.indexOf(value)
    return digest(JSON.stringify([producer.qualifiedType, place, attributes, inputs]))
  }

  #isPassedThrough(node: Node): boolean {
    const traits = this.#ops.of(node)?.quant.traits ?? []
    // A dequantized weight has the shape of the weight; who reads it must not see that it was quantized.
    return traits.includes('quantizer') || traits.includes('identity')
  }
}

/** Tensors and graphs in attributes are told apart by their kind alone. */
function attributeText([name, attribute]: [string, Attribute]): string {
  const { kind } = attribute
  if (/tensor|graph/i.test(kind) || !('value' in attribute)) return `${name} ${kind}`
  return `${name} ${JSON.stringify(attribute.value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`
}
