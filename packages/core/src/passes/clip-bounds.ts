import type { Node } from '../ir/index.ts'
import { floatAttribute } from './node-attributes.ts'

/** Bounds of a Relu or Clip; undefined where they are computed, and for other operators. */
export function clipBounds(node: Node): { readonly lo: number; readonly hi: number } | undefined {
  if (node.qualifiedType === 'Relu') return { lo: 0, hi: Number.POSITIVE_INFINITY }
  const [lo, hi] = [node.inputs[1], node.inputs[2]]
  const computed = [lo, hi].some((v) => v && (!v.constant || v.producer))
  if (node.qualifiedType !== 'Clip' || computed) return undefined
  return {
    lo: lo?.constant?.numbers()[0] ?? floatAttribute(node, 'min', Number.NEGATIVE_INFINITY),
    hi: hi?.constant?.numbers()[0] ?? floatAttribute(node, 'max', Number.POSITIVE_INFINITY),
  }
}
