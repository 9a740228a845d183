import type { Node, Tensor, Value } from '../ir/index.ts'

/** Operators that move elements of their inputs and change none: of Concat every input, of the others the first. */
const MOVERS: ReadonlySet<string> = new Set(
  'Identity Reshape Flatten Squeeze Unsqueeze Transpose Slice Concat'.split(' '),
)
const REPEATERS: ReadonlySet<string> = new Set(['Expand', 'Tile'])

/** The float32 constants that a value is put together of; none where anything else is in it. */
export function constantSources(value: Value): Value[] {
  return sourcesOf(value, (node) => (MOVERS.has(node.qualifiedType) ? dataOf(node) : undefined)) ?? []
}

/**
 * The constants that look learned in what an Add or a Concat is given: repeated over the batch, or added to zeros of its shape, as exporters
 * write class tokens. Masks and fills, of one value or two, infinite ones or very large ones, do not.
 */
export function embeddedSources({ qualifiedType }: Node, value: Value): Value[] {
  if (qualifiedType !== 'Add' && qualifiedType !== 'Concat') return []
  const found = sourcesOf(value, (node) => {
    const type = node.qualifiedType
    if (MOVERS.has(type) || REPEATERS.has(type)) return dataOf(node)
    const others = node.inputs.filter((x) => x?.producer?.qualifiedType !== 'ConstantOfShape')
    return type === 'Add' && others.length === 1 ? others : undefined
  })
  return (found ?? []).filter(({ constant }) => constant && looksLearned(constant))
}

const dataOf = ({ qualifiedType, inputs }: Node): readonly (Value | null)[] =>
  qualifiedType === 'Concat' ? inputs : inputs.slice(0, 1)

/** Undefined where something else than a float32 constant is found. @param next the values that hold a node's data, if it may be passed. */
function sourcesOf(value: Value, next: (node: Node) => readonly (Value | null)[] | undefined): Value[] | undefined {
  if (value.constant) return value.constant.dtype === 'float32' ? [value] : undefined
  const data = value.producer && next(value.producer)
  if (!data) return undefined
  const all = data.map((x) => (x ? sourcesOf(x, next) : undefined))
  return all.includes(undefined) ? undefined : all.flatMap((found) => found ?? [])
}

/** No embedding is anywhere near, and masks that are added before a Softmax are far beyond. */
const MOST = 1e4

function looksLearned(constant: Tensor): boolean {
  const values = Array.from(constant.numbers())
  return values.every((v) => Math.abs(v) < MOST) && new Set(values).size > 2
}
