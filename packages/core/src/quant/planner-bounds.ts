import type { Node, Value } from '../ir/index.ts'
import { type OpDef, type OpRegistry, parameter } from '../ops/index.ts'

/** Bounds of a node's output, as far as they are known without its input. */
export interface Bounds {
  readonly lo?: number
  readonly hi?: number
}

/** Initializers that the caller of the model cannot replace. */
export const isConstant = (value: Value): boolean => value.constant !== null && value.producer === null

/** Bounds that a schema tells: non-negative outputs, and constant inputs or attributes called `min` and `max`. */
export function outputBounds(node: Node, def: OpDef): Bounds | undefined {
  const [lo, hi] = [bound(node, def, 'min'), bound(node, def, 'max')]
  if (lo === 'unknown' || hi === 'unknown') return undefined
  const floor = def.quant.traits?.includes('non-negative') ? 0 : lo
  return { ...(floor === undefined ? {} : { lo: floor }), ...(hi === undefined ? {} : { hi }) }
}

function bound(node: Node, def: OpDef, name: 'min' | 'max'): number | undefined | 'unknown' {
  const attribute = node.attributes.get(name)
  if (attribute) return attribute.kind === 'float' ? finite(attribute.value) : 'unknown'
  const value = node.inputs[def.inputs.findIndex((text) => parameter(text).name === name)]
  if (!value) return undefined
  return isConstant(value) && value.constant?.size === 1 ? finite(value.constant.numbers()[0] as number) : 'unknown'
}

/** Exporters write "no bound" as the largest float. */
const finite = (x: number): number | undefined => (Math.abs(x) < 3.4e38 ? x : undefined)

/** True if the node that makes the value cannot make a negative number, seen through nodes that move elements or average them. */
export function isNonNegative(value: Value, ops: OpRegistry): boolean {
  for (let v: Value | null | undefined = value; v?.producer; v = v.producer.inputs[0]) {
    const def = ops.of(v.producer)
    if (!def) return false
    const { traits = [], fixedRange } = def.quant
    if (traits.includes('non-negative') || (fixedRange?.[0] ?? -1) >= 0) return true
    if ((outputBounds(v.producer, def)?.lo ?? -1) >= 0) return true
    if (!traits.includes('scale-preserving') && !traits.includes('averaging')) return false
  }
  return false
}
