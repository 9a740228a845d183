import { asTensor, type Value } from '../../../ir/index.ts'
import { intAttribute, intsAttribute } from '../../../passes/index.ts'
import { type CodeTensor, sizeOf } from '../codes.ts'
import { walk } from './broadcast.ts'
import type { BuildLayer, Site } from './layer.ts'
import { picked, strides } from './places.ts'
import { dataOf } from './pools.ts'

/** Split: a layer for each part that somebody reads. */
export const split: BuildLayer = (site) => {
  const { node, operands } = site
  if (!dataOf(operands[0])) return 'its data are not codes'
  const lengths = lengthsOf(site)
  if (!lengths) return 'the sizes of its parts are not known'
  return node.outputs.flatMap((value, output) => {
    if (!value) return []
    const start = lengths.slice(0, output).reduce((n, length) => n + length, 0)
    const run = ([x]: readonly CodeTensor[]): CodeTensor =>
      part(x as CodeTensor, intAttribute(node, 'axis', 0), start, lengths[output] as number)
    return [{ reads: [0], makes: 'input' as const, output, run }]
  })
}

/** As the file says, or as many as the shapes that were inferred say. */
function lengthsOf({ node }: Site): readonly number[] | undefined {
  const given = intsAttribute(node, 'split') ?? node.inputs[1]?.constant?.integers()
  if (given || node.inputs[1]) return given
  const axis = intAttribute(node, 'axis', 0)
  const lengths = node.outputs.map((value) => sizeAlong(value, axis))
  return lengths.every((length) => length !== undefined) ? lengths : undefined
}

function sizeAlong(value: Value | null, axis: number): number | undefined {
  const shape = asTensor(value?.type)?.shape
  const size = shape?.at(axis)
  return typeof size === 'number' ? size : undefined
}

function part(x: CodeTensor, along: number, start: number, length: number): CodeTensor {
  const axis = along < 0 ? along + x.dims.length : along
  const dims = x.dims.map((d, i) => (i === axis ? length : d))
  return picked(x, dims, walk(dims, strides(x.dims), start * sizeOf(x.dims.slice(axis + 1))))
}
