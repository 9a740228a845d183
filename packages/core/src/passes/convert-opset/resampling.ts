import { attribute, Tensor, type Value } from '../../ir/index.ts'
import { decodeUtf8 } from '../../util/index.ts'
import { stringAttribute } from '../node-attributes.ts'
import type { Adapter, AdapterTable } from './adapter.ts'

/** Upsample → Resize, and what the defaults of Resize, RoiAlign and GridSample used to mean. */

const scalesToInput: Adapter = ({ node, constant }) => {
  const scales = node.attributes.get('scales')
  if (scales?.kind !== 'floats') return 'it has no scales'
  node.setInput(1, constant('scales', Tensor.float32([scales.value.length], scales.value)))
  node.attributes.delete('scales')
  return undefined
}

/** Upsample only enlarges, which says how nearest rounds even where the scales are computed. */
const ENLARGES = 'convert-opset.enlarges'

const upsampleToResize: Adapter = ({ node }) => {
  node.opType = 'Resize'
  node.meta.set(ENLARGES, true)
  return undefined
}

const rename =
  (type: string): Adapter =>
  ({ node }) => {
    node.opType = type
    return undefined
  }

/**
 * Version 10 sampled at x / scale. In nearest mode ONNX Runtime rounds that down when enlarging and up when shrinking;
 * version 11 has one rounding for all axes.
 */
const resizeCoordinates: Adapter = ({ node, constant }) => {
  const nearest = stringAttribute(node, 'mode', 'nearest') === 'nearest'
  const scales = node.inputs[1] ?? null
  const rounding = nearest ? (roundingOf(scales) ?? (node.meta.has(ENLARGES) ? 'floor' : undefined)) : undefined
  if (nearest && !rounding) return 'its scales are computed, or enlarge one axis and shrink another'
  node.attributes.set('coordinate_transformation_mode', attribute.string('asymmetric'))
  if (rounding) node.attributes.set('nearest_mode', attribute.string(rounding))
  node.setInput(1, constant('roi', Tensor.float32([0], [])))
  node.setInput(2, scales)
  return undefined
}

function roundingOf(scales: Value | null): 'floor' | 'ceil' | undefined {
  const constant = constantOf(scales)
  if (!constant) return undefined
  const factors = Array.from(constant.numbers())
  if (factors.every((s) => s >= 1)) return 'floor'
  return factors.every((s) => s <= 1) ? 'ceil' : undefined
}

function constantOf(value: Value | null): Tensor | undefined {
  if (value?.constant) return value.constant
  const literal = value?.producer?.opType === 'Constant' ? value.producer.attributes.get('value') : undefined
  return literal?.kind === 'tensor' ? literal.value : undefined
}

/** Writes a default that a later version changed. */
const keepDefault =
  (name: string, value: string): Adapter =>
  ({ node }) => {
    if (!node.attributes.has(name)) node.attributes.set(name, attribute.string(value))
    return undefined
  }

const GRID_MODES: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' }

const gridMode: Adapter = ({ node }) => {
  const mode = node.attributes.get('mode')
  const name = mode?.kind === 'string' ? decodeUtf8(mode.value) : 'bilinear'
  node.attributes.set('mode', attribute.string(GRID_MODES[name] ?? name))
  return undefined
}

export const RESAMPLING: AdapterTable = {
  Upsample: { 9: scalesToInput, 10: upsampleToResize },
  Resize: { 11: resizeCoordinates },
  RoiAlign: { 16: keepDefault('coordinate_transformation_mode', 'output_half_pixel') },
  GridSample: { 20: gridMode },
  Scatter: { 11: rename('ScatterElements') },
}
