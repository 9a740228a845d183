import { type Attribute, type AttributeKind, attribute, type Graph, type Tensor } from '../ir/index.ts'
import { decodeUtf8 } from '../util/index.ts'
import type { AttrSpec } from './define-op.ts'

const { expectKind } = attribute

/** int64 to number; the few values beyond 2^53 are sentinels such as INT64_MAX, for which saturating is right. */
const toNumber = (value: bigint): number => {
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  return Number(value > limit ? limit : value < -limit ? -limit : value)
}

type Exact<K extends AttributeKind> = Extract<Attribute, { kind: K }>['value']

function spec<K extends AttributeKind, T>(
  kind: K,
  decode: (value: Exact<K>) => T,
  fallback: readonly [T?],
): AttrSpec<T> {
  return {
    kind,
    required: fallback.length === 0,
    default: fallback[0],
    read: (name, a) => decode(expectKind(name, a, kind).value as Exact<K>),
  }
}

/** Attribute schemas. `int(1)` has default 1; `int()` is required; `optional(int())` may be absent. */
export const int = (...d: [number?]): AttrSpec<number> => spec('int', toNumber, d)
export const ints = (...d: [(readonly number[])?]): AttrSpec<readonly number[]> =>
  spec('ints', (value) => value.map(toNumber), d)
export const float = (...d: [number?]): AttrSpec<number> => spec('float', (value) => value, d)
export const floats = (...d: [(readonly number[])?]): AttrSpec<readonly number[]> => spec('floats', (value) => value, d)
export const string = (...d: [string?]): AttrSpec<string> => spec('string', decodeUtf8, d)
export const strings = (...d: [(readonly string[])?]): AttrSpec<readonly string[]> =>
  spec('strings', (value) => value.map(decodeUtf8), d)
export const tensor = (): AttrSpec<Tensor> => spec('tensor', (value) => value, [])
export const graph = (): AttrSpec<Graph> => spec('graph', (value) => value, [])

/** The same attribute, allowed to be absent and then undefined. */
export const optional = <T>(s: AttrSpec<T>): AttrSpec<T | undefined> => ({ ...s, required: false, default: undefined })

/** The same attribute, which the operator has only from `version` on; before that, reading it gives the default. */
export const from = <T>(version: number, s: AttrSpec<T>): AttrSpec<T> => ({ ...s, since: version })

/** The same attribute, which the operator lost in `version`: from then on reading it gives undefined. */
export const until = <T>(version: number, s: AttrSpec<T>): AttrSpec<T | undefined> => ({
  ...s,
  until: version,
  default: s.required ? undefined : s.default,
})
