import { asTensor, attribute, type Node } from '../../ir/index.ts'
import { type DType, dtypeToOnnx } from '../../util/index.ts'
import { decline, rule } from '../rule.ts'

interface Match {
  readonly node: Node
  readonly dtype: DType
}

/** CastLike(x, t) = Cast(x) to the element type of t, whose elements it never reads: what only computes them can go. */
export const castLikeToCast = rule<Match>({
  name: 'cast-like-to-cast',
  summary: 'turn CastLike into Cast where the type of its second input is known',
  anchor: ['CastLike'],
  match(node) {
    const dtype = asTensor(node.inputs[1]?.type)?.dtype
    return dtype ? { node, dtype } : decline('the type to cast to is not known')
  },
  rewrite({ node, dtype }) {
    node.opType = 'Cast'
    node.truncateInputs(1)
    node.attributes.set('to', attribute.int(dtypeToOnnx(dtype)))
    return `turned CastLike into Cast to ${dtype}`
  },
})
