import type { Node } from '../../../ir/index.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../../../passes/index.ts'
import { type CodeTensor, sizeOf } from '../codes.ts'
import type { Grid } from '../scheme.ts'
import { broadcastDims, stridesOf, walk } from './broadcast.ts'
import type { BuildLayer, Site } from './layer.ts'
import { COMPUTED, from0, list, picked, strides } from './places.ts'
import { dataOf } from './pools.ts'
import { sliceOf } from './slices.ts'

/** Moves elements as they are. Gives the reason where what it has to know is computed. */
type Move = (node: Node, grid: Grid) => ((x: CodeTensor) => CodeTensor) | string

const mover =
  (move: Move): BuildLayer =>
  ({ node, operands }: Site) => {
    const data = dataOf(operands[0])
    if (!data) return 'its data are not codes'
    const run = move(node, data.grid)
    if (typeof run === 'string') return run
    return { reads: [0], makes: 'input', run: ([x]) => run(x as CodeTensor) }
  }

function reshape(node: Node): ((x: CodeTensor) => CodeTensor) | string {
  const wanted = list(node, 'shape', 1)
  if (!wanted) return COMPUTED
  const keepsZero = intAttribute(node, 'allowzero', 0) === 1
  return (x) => {
    const dims = wanted.map((d, i) => (d === 0 && !keepsZero ? (x.dims[i] as number) : d))
    const known = dims.reduce((n, d) => (d === -1 ? n : n * d), 1)
    return { ...x, dims: dims.map((d) => (d === -1 ? x.codes.length / known : d)) }
  }
}

const flatten: Move = (node) => (x) => {
  const axis = from0(intAttribute(node, 'axis', 1), x.dims.length)
  return { ...x, dims: [sizeOf(x.dims.slice(0, axis)), sizeOf(x.dims.slice(axis))] }
}

const squeeze: Move = (node) => {
  const axes = list(node, 'axes', 1)
  if (!axes && node.inputs[1]) return COMPUTED
  return (x) => {
    const gone = axes?.map((axis) => from0(axis, x.dims.length))
    return { ...x, dims: x.dims.filter((d, i) => (gone ? !gone.includes(i) : d !== 1)) }
  }
}

const unsqueeze: Move = (node) => {
  const axes = list(node, 'axes', 1)
  if (!axes) return COMPUTED
  return (x) => {
    const rank = x.dims.length + axes.length
    const added = axes.map((axis) => from0(axis, rank))
    const rest = [...x.dims]
    return { ...x, dims: Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : (rest.shift() as number))) }
  }
}

const transpose: Move = (node) => {
  const perm = intsAttribute(node, 'perm')
  return (x) => {
    const order = perm ?? x.dims.map((_, i) => x.dims.length - 1 - i)
    return permuted(x, order)
  }
}

function permuted(x: CodeTensor, order: readonly number[]): CodeTensor {
  const dims = order.map((axis) => x.dims[axis] as number)
  const steps = strides(x.dims)
  return picked(
    x,
    dims,
    walk(
      dims,
      order.map((axis) => steps[axis] as number),
    ),
  )
}

const slice: Move = (node) => {
  const range = sliceOf(node)
  if (!range) return COMPUTED
  return (x) => {
    const { starts, dims, steps } = range(x.dims)
    const own = strides(x.dims)
    const start = starts.reduce((n, s, i) => n + s * (own[i] as number), 0)
    return picked(
      x,
      dims,
      walk(
        dims,
        own.map((s, i) => s * (steps[i] as number)),
        start,
      ),
    )
  }
}

const expand: Move = (node) => {
  const shape = node.inputs[1]?.constant?.integers()
  if (!shape) return COMPUTED
  return (x) => {
    const dims = broadcastDims(x.dims, shape)
    return picked(x, dims, walk(dims, stridesOf(x.dims, dims)))
  }
}

const gather: Move = (node) => {
  const indices = node.inputs[1]?.constant
  if (!indices) return COMPUTED
  return (x) => {
    const axis = from0(intAttribute(node, 'axis', 0), x.dims.length)
    const size = x.dims[axis] as number
    const [outer, inner] = [sizeOf(x.dims.slice(0, axis)), sizeOf(x.dims.slice(axis + 1))]
    const rows = indices.integers().map((i) => from0(i, size))
    const places = new Int32Array(outer * rows.length * inner)
    let to = 0
    for (let o = 0; o < outer; o++) {
      for (const row of rows) for (let i = 0; i < inner; i++) places[to++] = (o * size + row) * inner + i
    }
    return picked(x, [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)], places)
  }
}

/** Blocks of channels to blocks of space, and back: a permutation of six axes. */
const depthToSpace: Move = (node) => (x) => {
  const [n = 1, c = 1, h = 1, w = 1] = x.dims
  const b = intAttribute(node, 'blocksize', 1)
  const isCrd = stringAttribute(node, 'mode', 'DCR') === 'CRD'
  const split = isCrd ? [n, c / (b * b), b, b, h, w] : [n, b, b, c / (b * b), h, w]
  const order = isCrd ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
  return { ...permuted({ ...x, dims: split }, order), dims: [n, c / (b * b), h * b, w * b] }
}

const spaceToDepth: Move = (node) => (x) => {
  const [n = 1, c = 1, h = 1, w = 1] = x.dims
  const b = intAttribute(node, 'blocksize', 1)
  const split = { ...x, dims: [n, c, h / b, b, w / b, b] }
  return { ...permuted(split, [0, 3, 5, 1, 2, 4]), dims: [n, c * b * b, h / b, w / b] }
}

const identity: Move = () => (x) => x

/** Operators that only move codes. */
export const MOVES = {
  Reshape: mover(reshape),
  Flatten: mover(flatten),
  Squeeze: mover(squeeze),
  Unsqueeze: mover(unsqueeze),
  Transpose: mover(transpose),
  Slice: mover(slice),
  Expand: mover(expand),
  Gather: mover(gather),
  DepthToSpace: mover(depthToSpace),
  SpaceToDepth: mover(spaceToDepth),
  Identity: mover(identity),
  Dropout: mover(identity),
} as const satisfies Readonly<Record<string, BuildLayer>>
