import { attribute, type Node } from '../ir/index.ts'
import { decodeUtf8 } from '../util/index.ts'

const toNumber = (value: bigint): number => Number(value)

/** An integer attribute, or the default that the operator's schema gives it. */
export function intAttribute(node: Node, name: string, fallback: number): number {
  const a = node.attributes.get(name)
  return a ? toNumber(attribute.expectKind(name, a, 'int').value) : fallback
}

export function floatAttribute(node: Node, name: string, fallback: number): number {
  const a = node.attributes.get(name)
  return a ? attribute.expectKind(name, a, 'float').value : fallback
}

export function intsAttribute(node: Node, name: string): readonly number[] | undefined {
  const a = node.attributes.get(name)
  return a ? attribute.expectKind(name, a, 'ints').value.map(toNumber) : undefined
}

export function stringAttribute(node: Node, name: string, fallback: string): string {
  const a = node.attributes.get(name)
  return a ? decodeUtf8(attribute.expectKind(name, a, 'string').value) : fallback
}

/** True where a function body takes an attribute from its caller, so that its value is not known here. */
export const hasOpenAttributes = (node: Node): boolean =>
  [...node.attributes.values()].some((a) => a.kind === 'reference')
