import { encodeUtf8, problem } from '../util/index.ts'
import type { Graph } from './graph.ts'
import type { Tensor } from './tensor.ts'
import type { ValueType } from './types.ts'

/** Exact attribute values: integers as bigint, because exporters do write INT64_MAX. Strings as bytes, as in the file. */
export type Attribute =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'string'; readonly value: Uint8Array }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'type'; readonly value: ValueType }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly bigint[] }
  | { readonly kind: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly kind: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  | { readonly kind: 'types'; readonly value: readonly ValueType[] }
  /** A file-level record that the IR keeps untouched (sparse tensors). */
  | { readonly kind: 'opaque'; readonly value: unknown }
  /** Inside a function body: the value is the caller's attribute of this name. */
  | { readonly kind: 'reference'; readonly value: string; readonly type: string }

export type AttributeKind = Attribute['kind']

export const int = (value: number | bigint): Attribute => ({ kind: 'int', value: BigInt(value) })
export const ints = (value: readonly (number | bigint)[]): Attribute => ({ kind: 'ints', value: value.map(BigInt) })
export const float = (value: number): Attribute => ({ kind: 'float', value })
export const floats = (value: readonly number[]): Attribute => ({ kind: 'floats', value })
export const string = (value: string): Attribute => ({ kind: 'string', value: encodeUtf8(value) })
export const strings = (value: readonly string[]): Attribute => ({
  kind: 'strings',
  value: value.map((s) => encodeUtf8(s)),
})
export const tensor = (value: Tensor): Attribute => ({ kind: 'tensor', value })
export const graph = (value: Graph): Attribute => ({ kind: 'graph', value })

/** The graphs that an attribute holds, in order. */
export function subgraphs(attribute: Attribute): readonly Graph[] {
  if (attribute.kind === 'graph') return [attribute.value]
  return attribute.kind === 'graphs' ? attribute.value : []
}

/** @throws FewbitError ATTRIBUTE_KIND if the attribute is of another kind. */
export function expectKind<K extends AttributeKind>(
  name: string,
  a: Attribute,
  kind: K,
): Extract<Attribute, { kind: K }> {
  if (a.kind !== kind) throw problem('ATTRIBUTE_KIND', `attribute "${name}" is ${a.kind}, but ${kind} is expected`)
  return a as Extract<Attribute, { kind: K }>
}
