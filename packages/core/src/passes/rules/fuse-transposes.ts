import { attribute, type Node, type Value } from '../../ir/index.ts'
import { hasOpenAttributes, intsAttribute } from '../node-attributes.ts'
import { rule } from '../rule.ts'
import { shapeOf } from '../rule-context.ts'

interface Match {
  readonly node: Node
  readonly source: Value
  readonly perm: readonly number[]
}

/**
 * Transpose(Transpose(x, p), q) = Transpose(x, p∘q), with (p∘q)[i] = p[q[i]]. The first one stays for its other readers, if
 * it has any; dead-code removal takes it otherwise.
 */
export const fuseTransposes = rule<Match>({
  name: 'fuse-transposes',
  summary: 'merge consecutive Transposes into one',
  anchor: ['Transpose'],
  match(node) {
    const first = node.inputs[0]?.producer
    const source = first?.inputs[0]
    if (first?.qualifiedType !== 'Transpose' || !source || hasOpenAttributes(first)) return undefined
    const p = permutation(first)
    const q = permutation(node)
    return p && q && { node, source, perm: q.map((axis) => p[axis] as number) }
  },
  rewrite({ node, source, perm }) {
    node.setInput(0, source)
    node.attributes.set('perm', attribute.ints(perm))
    return `now permutes "${source.name}" by ${perm.join(',')}`
  },
})

/** Without `perm` the axes are reversed. */
function permutation(node: Node): readonly number[] | undefined {
  const rank = shapeOf(node.inputs[0])?.length
  return intsAttribute(node, 'perm') ?? (rank === undefined ? undefined : [...Array(rank).keys()].reverse())
}
