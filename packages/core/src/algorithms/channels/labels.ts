import type { Shape } from '../../ir/index.ts'
import { must } from '../../util/index.ts'

/**
 * Which scale each element of a value has: an array of class numbers that broadcasts to the value. A dimension of 1 says that the class
 * does not change along that axis; others have the value's own size. Channels of a convolution's output are [1, C, 1, 1].
 */
export interface Labels {
  readonly dims: readonly number[]
  readonly ids: Int32Array
}

const sizeOf = (dims: readonly number[]): number => dims.reduce((n, d) => n * d, 1)

/** Classes along one axis of a value of this rank. */
export function alongAxis(ids: Int32Array, axis: number, rank: number): Labels {
  return { dims: Array.from({ length: rank }, (_, i) => (i === axis ? ids.length : 1)), ids }
}

/** The classes along `axis` where they change along no other, else undefined. */
export function idsAlong({ dims, ids }: Labels, axis: number, size: number): Int32Array | undefined {
  if (dims.some((d, i) => d !== 1 && i !== axis)) return undefined
  return ids.length === size ? ids : ids.length === 1 ? new Int32Array(size).fill(ids[0] as number) : undefined
}

/** Repeats the array to larger dimensions: each of its own is 1 or equal. Missing dimensions in front count as 1. */
export function expand({ dims, ids }: Labels, to: readonly number[]): Labels {
  const from = [...Array<number>(to.length - dims.length).fill(1), ...dims]
  const strides = stridesOf(from).map((stride, i) => (from[i] === 1 ? 0 : stride))
  const out = new Int32Array(sizeOf(to))
  walk(to, strides, (i, at) => {
    out[i] = ids[at] as number
  })
  return { dims: to, ids: out }
}

/** Removes the axes along which nothing changes: their dimension becomes 1. */
export function collapse(labels: Labels): Labels {
  return labels.dims.reduce((kept, d, axis) => {
    if (d === 1) return kept
    const first = take(kept, axis, [0])
    const same = expand(first, kept.dims).ids.every((id, i) => id === kept.ids[i])
    return same ? first : kept
  }, labels)
}

/** The entries at these positions of an axis, which keeps its place. */
export function take({ dims, ids }: Labels, axis: number, positions: readonly number[]): Labels {
  const inner = sizeOf(dims.slice(axis + 1))
  const size = dims[axis] as number
  const to = dims.with(axis, positions.length)
  const out = new Int32Array(sizeOf(to))
  for (let i = 0; i < out.length; i += inner) {
    const outer = Math.floor(i / inner / positions.length)
    const position = positions[(i / inner) % positions.length] as number
    out.set(ids.subarray((outer * size + position) * inner, (outer * size + position + 1) * inner), i)
  }
  return { dims: to, ids: out }
}

export function transpose({ dims, ids }: Labels, perm: readonly number[]): Labels {
  const to = perm.map((axis) => dims[axis] as number)
  const strides = stridesOf(dims)
  const out = new Int32Array(ids.length)
  walk(
    to,
    perm.map((axis) => strides[axis] as number),
    (i, at) => {
      out[i] = ids[at] as number
    },
  )
  return { dims: to, ids: out }
}

/** Joins arrays along an axis, on which each already has its value's size. */
export function concat(parts: readonly Labels[], axis: number): Labels {
  const first = must(parts[0], 'a part')
  const other = first.dims.map((_, i) => Math.max(...parts.map(({ dims }) => dims[i] as number)))
  const full = parts.map((part) => expand(part, other.with(axis, part.dims[axis] as number)))
  const to = other.with(
    axis,
    full.reduce((n, { dims }) => n + (dims[axis] as number), 0),
  )
  const inner = sizeOf(to.slice(axis + 1))
  const out = new Int32Array(sizeOf(to))
  let at = 0
  for (let outer = 0; outer < sizeOf(to.slice(0, axis)); outer++) {
    for (const { dims, ids } of full) {
      const block = (dims[axis] as number) * inner
      out.set(ids.subarray(outer * block, (outer + 1) * block), at)
      at += block
    }
  }
  return { dims: to, ids: out }
}

/**
 * The classes behind a Reshape, which keeps elements in row-major order. Axes are grouped so that products agree; only a group along
 * which classes change has to have known sizes. Undefined where sizes cannot be matched.
 */
export function reshape(labels: Labels, from: Shape, to: Shape): Labels | undefined {
  const groups = matchAxes(from, to)
  if (!groups) return undefined
  const wide = labels.dims.slice()
  const dims = to.map(() => 1)
  for (const { before, after } of groups) {
    if (before.every((axis) => labels.dims[axis] === 1)) continue
    if (before.some((axis) => typeof from[axis] !== 'number')) return undefined
    for (const axis of before) wide[axis] = from[axis] as number
    for (const axis of after) dims[axis] = to[axis] as number
  }
  return collapse({ dims, ids: expand(labels, wide).ids })
}

interface AxisGroup {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

/** Splits both shapes into runs of axes with equal products, in order. */
function matchAxes(from: Shape, to: Shape): AxisGroup[] | undefined {
  const [a, b] = [from, to].map((shape) => closed(shape))
  if (!a || !b || sizeOf(a) !== sizeOf(b) || sizeOf(a) === 0) return undefined
  const groups: AxisGroup[] = []
  let [i, j] = [0, 0]
  while (i < a.length || j < b.length) {
    const [i0, j0] = [i, j]
    let [p, q] = [a[i++] ?? 1, b[j++] ?? 1]
    while (p !== q) {
      if (p < q) p *= a[i++] ?? Number.NaN
      else q *= b[j++] ?? Number.NaN
      if (Number.isNaN(p) || Number.isNaN(q)) return undefined
    }
    groups.push({ before: range(i0, Math.min(i, a.length)), after: range(j0, Math.min(j, b.length)) })
  }
  return groups
}

/** A prime that no size of a tensor has: it stands for the one open dimension on both sides, which must then be equal. */
const OPEN = 1_000_003

function closed(shape: Shape): number[] | undefined {
  if (shape.filter((d) => typeof d !== 'number').length > 1) return undefined
  return shape.map((d) => (typeof d === 'number' ? d : OPEN))
}

const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)

function stridesOf(dims: readonly number[]): number[] {
  const strides = dims.map(() => 1)
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] as number) * (dims[i + 1] as number)
  return strides
}

/** Visits all elements in row-major order, with the offset that `strides` give. */
function walk(dims: readonly number[], strides: readonly number[], visit: (i: number, at: number) => void): void {
  const index = dims.map(() => 0)
  const total = sizeOf(dims)
  for (let i = 0, at = 0; i < total; i++) {
    visit(i, at)
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis] as number
      index[axis] = (index[axis] as number) + 1
      if ((index[axis] as number) < (dims[axis] as number)) break
      at -= (dims[axis] as number) * (strides[axis] as number)
      index[axis] = 0
    }
  }
}
