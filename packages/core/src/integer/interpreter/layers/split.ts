import { asTensor, type Value } from '../../../ir/index.ts'
import { intAttribute } from '../../../passes/index.ts'
import type { CodeTensor } from '../codes.ts'
import type { BuildLayer, Site } from './layer.ts'
import { from0, list, pickedAlong } from './places.ts'
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
  const given = list(node, 'split', 1)
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
  const axis = from0(along, x.dims.length)
  const sources = x.dims.map((size, i) => {
    const [first, count] = i === axis ? [start, length] : [0, size]
    return Int32Array.from({ length: count }, (_, j) => first + j)
  })
  return pickedAlong(x, sources)
}
