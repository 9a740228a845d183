import { Tensor } from '../../ir/index.ts'
import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from '../node-attributes.ts'
import { type Adapter, type AdapterTable, int64s, scalar } from './adapter.ts'

/** Attributes that became inputs. */

/** An integer list: absent stays absent. */
const listToInput =
  (name: string, index: number): Adapter =>
  ({ node, constant }) => {
    const values = intsAttribute(node, name)
    node.attributes.delete(name)
    if (values) node.setInput(index, constant(name, int64s(values)))
    return undefined
  }

const sliceBounds: Adapter = (cx) => {
  const names = ['starts', 'ends', 'axes']
  names.forEach((name, i) => {
    listToInput(name, i + 1)(cx)
  })
  return undefined
}

const topK: Adapter = ({ node, constant }) => {
  node.setInput(1, constant('k', int64s([intAttribute(node, 'k', 1)])))
  node.attributes.delete('k')
  return undefined
}

/** Bounds have the element type of the data; an absent one is no bound, as the largest finite float was before. */
const clipBounds: Adapter = ({ node, input, constant }) => {
  const dtype = input(0)?.dtype
  for (const [i, name] of ['min', 'max'].entries()) {
    if (!node.attributes.has(name)) continue
    if (!dtype) return 'the element type of its input is unknown'
    node.setInput(i + 1, constant(name, scalar(dtype, floatAttribute(node, name, 0))))
    node.attributes.delete(name)
  }
  return undefined
}

const padAmounts: Adapter = ({ node, input, constant }) => {
  const value = floatAttribute(node, 'value', 0)
  const dtype = input(0)?.dtype
  const needed = value !== 0 && stringAttribute(node, 'mode', 'constant') === 'constant'
  if (needed && !dtype) return 'the element type of its input is unknown'
  node.setInput(1, constant('pads', int64s(intsAttribute(node, 'pads') ?? [])))
  if (needed && dtype) node.setInput(2, constant('value', scalar(dtype, value)))
  node.attributes.delete('pads')
  node.attributes.delete('value')
  return undefined
}

const dropoutRatio: Adapter = ({ node, constant }) => {
  if (node.attributes.has('ratio'))
    node.setInput(1, constant('ratio', scalar('float32', floatAttribute(node, 'ratio', 0.5))))
  node.attributes.delete('ratio')
  return undefined
}

/** The default moved from axis 1 to -2, so the axis is always written. */
const dftAxis: Adapter = ({ node, constant }) => {
  node.setInput(2, constant('axis', Tensor.int64([], [intAttribute(node, 'axis', 1)])))
  node.attributes.delete('axis')
  return undefined
}

const reduceAxes = { 18: listToInput('axes', 1) }

export const TO_INPUTS: AdapterTable = {
  Slice: { 10: sliceBounds },
  TopK: { 10: topK },
  Clip: { 11: clipBounds },
  Pad: { 11: padAmounts },
  Dropout: { 12: dropoutRatio },
  Squeeze: { 13: listToInput('axes', 1) },
  Unsqueeze: { 13: listToInput('axes', 1) },
  Split: { 13: listToInput('split', 1) },
  ReduceSum: { 13: listToInput('axes', 1) },
  ReduceMean: reduceAxes,
  ReduceMax: reduceAxes,
  ReduceMin: reduceAxes,
  ReduceProd: reduceAxes,
  ReduceL1: reduceAxes,
  ReduceL2: reduceAxes,
  ReduceLogSum: reduceAxes,
  ReduceLogSumExp: reduceAxes,
  ReduceSumSquare: reduceAxes,
  DFT: { 20: dftAxis },
}
