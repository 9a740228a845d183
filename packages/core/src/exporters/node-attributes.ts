import type { Attribute, Node } from '../ir/index.ts'

/** Attributes that Conv shares with its integer forms, and AveragePool with its own. */
export const CONV_ATTRIBUTES = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'] as const
export const POOL_ATTRIBUTES = [
  'auto_pad',
  'ceil_mode',
  'count_include_pad',
  'kernel_shape',
  'pads',
  'strides',
] as const

/** The attributes of a node by these names, where it has them. */
export function pick(node: Node, ...names: readonly string[]): [string, Attribute][] {
  return names.flatMap((name) => {
    const a = node.attributes.get(name)
    return a ? [[name, a] as [string, Attribute]] : []
  })
}

/** An integer attribute that is given and not 0. */
export function isSet(node: Node, name: string): boolean {
  const a = node.attributes.get(name)
  return a?.kind === 'int' && a.value !== 0n
}

/** A float factor that is absent or 1. */
export function isOne(node: Node, name: string): boolean {
  const a = node.attributes.get(name)
  return !a || (a.kind === 'float' && a.value === 1)
}
