import type { Node, Value } from '../../ir/index.ts'
import { intAttribute } from '../node-attributes.ts'
import { type Decline, decline, rule } from '../rule.ts'

interface Match {
  readonly node: Node
  readonly source: Value
}

/** Operators that only regroup elements in row-major order. */
const REGROUPING = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/**
 * Reshape(regroup(x), s) = Reshape(x, s), since neither moves an element. A 0 in `s` copies a dimension of the reshape's
 * input, which would be another one afterwards.
 */
export const fuseReshapes = rule<Match>({
  name: 'fuse-reshapes',
  summary: 'drop reshapes whose result is reshaped again',
  anchor: ['Reshape'],
  match(node, cx): Match | Decline | undefined {
    const first = node.inputs[0]?.producer
    const source = first?.inputs[0]
    if (first?.domain !== '' || !REGROUPING.has(first.opType) || !source) return undefined
    const target = cx.constant(node.inputs[1])?.integers()
    if (!target) return decline('the target shape is computed')
    if (target.includes(0) && intAttribute(node, 'allowzero', 0) === 0) {
      return decline('the target shape copies dimensions of the first reshape')
    }
    return { node, source }
  },
  rewrite({ node, source }) {
    node.setInput(0, source)
    return `now reshapes "${source.name}" directly`
  },
})
