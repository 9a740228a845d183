import type { Node } from '../../../ir/index.ts'
import { nearestSources, type Resampling } from '../../../ops/index.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../../../passes/index.ts'
import type { CodeTensor } from '../codes.ts'
import type { BuildLayer, Site } from './layer.ts'
import { from0, pickedAlong } from './places.ts'
import { dataOf } from './pools.ts'

/** Resize and Upsample that copy the nearest element. */
export const resize: BuildLayer = (site) => {
  const { node, operands } = site
  if (!dataOf(operands[0])) return 'its data are not codes'
  const mode = stringAttribute(node, 'mode', 'nearest')
  if (mode !== 'nearest') return `it interpolates (${mode})`
  const how = resamplingOf(site)
  const target = targetOf(site)
  if (!target) return 'its sizes are computed while the model runs, or keep a ratio'
  // Axes that keep their size copy every element, whatever the rule.
  const sourcesOf: Sources = (from, to, scale) =>
    scale === 1 ? Int32Array.from({ length: to }, (_, i) => i) : nearestSources(how, from, to, scale)
  if (!sourcesOf(1, 1, 2)) return `nothing runs the coordinates "${how.coordinates}" in integers`
  return { reads: [0], makes: 'input', run: ([x]) => resized(x as CodeTensor, target, sourcesOf) }
}

/** For each element along an axis, the one that it copies. */
type Sources = (from: number, to: number, scale: number) => Int32Array | undefined

/** Before version 11 there was one rule. */
function resamplingOf({ node, opset }: Site): Pick<Resampling, 'coordinates' | 'nearest'> {
  if (opset < 11) return { coordinates: 'asymmetric', nearest: 'floor' }
  return {
    coordinates: stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel'),
    nearest: stringAttribute(node, 'nearest_mode', 'round_prefer_floor'),
  }
}

/** Sizes and scales along each axis. */
type Target = (dims: readonly number[]) => readonly (readonly [size: number, scale: number])[]

function targetOf({ node, opset }: Site): Target | undefined {
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') return undefined
  if (intAttribute(node, 'antialias', 0) !== 0) return undefined
  const [scales, sizes] = [scalesOf(node, opset), node.inputs[3]?.constant?.integers()]
  const axes = intsAttribute(node, 'axes')
  if (!sizes && !scales) return undefined
  return (dims) =>
    dims.map((size, axis) => {
      const at = axes ? axes.findIndex((a) => from0(a, dims.length) === axis) : axis
      const [wanted, scale] = [sizes?.[at], scales?.[at]]
      if (wanted !== undefined) return [wanted, Math.fround(wanted / size)]
      return scale === undefined ? [size, 1] : [Math.floor(Math.fround(size * scale)), scale]
    })
}

function scalesOf(node: Node, opset: number): readonly number[] | undefined {
  const scales = node.inputs[opset < 11 ? 1 : 2]?.constant
  return scales && scales.size > 0 ? Array.from(scales.numbers()) : undefined
}

function resized(x: CodeTensor, target: Target, sourcesOf: Sources): CodeTensor {
  const along = target(x.dims).map(
    ([size, scale], axis) => sourcesOf(x.dims[axis] as number, size, scale) as Int32Array,
  )
  return pickedAlong(x, along)
}
