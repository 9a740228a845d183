import { type Attribute, attribute, type AttributeKind, type Graph, type Tensor } from '../ir/index.ts'
import { decodeUtf8 } from '../util/index.ts'
import type { AttrSpec } from './define-op.ts'

const { expectKind } = attribute

/** int64 to number; the few values beyond 2^53 are sentinels such as INT64_MAX, for which saturating is right. */
const toNumber = (value: bigint): number => {
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  return Number(value > limit ? limit : value < -limit ? -limit : value)
}

function spec<T>(kind: AttributeKind, read: (a: Attribute) => T, fallback: readonly [T?]): AttrSpec<T> {
  return { kind, required: fallback.length === 0, default: fallback[0], read }
}

/** Attribute schemas. `int(1)` has default 1; `int()` is required; `optional(int())` may be absent. */
export const int = (...d: [number?]): AttrSpec<number> =>
  spec('int', (a) => toNumber(expectKind('', a, 'int').value), d)
export const ints = (...d: [(readonly number[])?]): AttrSpec<readonly number[]> =>
  spec('ints', (a) => expectKind('', a, 'ints').value.map(toNumber), d)
export const float = (...d: [number?]): AttrSpec<number> => spec('float', (a) => expectKind('', a, 'float').value, d)
export const floats = (...d: [(readonly number[])?]): AttrSpec<readonly number[]> =>
  spec('floats', (a) => expectKind('', a, 'floats').value, d)
export const string = (...d: [string?]): AttrSpec<string> =>
  spec('string', (a) => decodeUtf8(expectKind('', a, 'string').value), d)
export const strings = (...d: [(readonly string[])?]): AttrSpec<readonly string[]> =>
  spec('strings', (a) => expectKind('', a, 'strings').value.map(decodeUtf8), d)
export const tensor = (): AttrSpec<Tensor> => spec('tensor', (a) => expectKind('', a, 'tensor').value, [])
export const graph = (): AttrSpec<Graph> => spec('graph', (a) => expectKind('', a, 'graph').value, [])

/** The same attribute, allowed to be absent and then undefined. */
export const optional = <T>(s: AttrSpec<T>): AttrSpec<T | undefined> => ({ ...s, required: false, default: undefined })
