import type { Node, Value } from '../../ir/index.ts'
import { intAttribute, intsAttribute, stringAttribute } from '../node-attributes.ts'
import { sizesOf } from './layout.ts'

/** A convolution that blocked kernels can run. */
export interface BlockedConvolution {
  readonly node: Node
  readonly x: Value
  readonly w: Value
  readonly bias: Value | null
  readonly channels: number
  /** `thin`: too few input channels of a group for a block, so that the data stay as they are. `depthwise`: one input channel each. */
  readonly kind: 'full' | 'thin' | 'depthwise'
  readonly group: number
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
}

/** What it would take to run a node on blocks of so many channels, or undefined where it cannot or need not be. */
export function blockable(node: Node, block: number): BlockedConvolution | undefined {
  const [x, w, bias = null] = node.inputs
  if (node.qualifiedType !== 'Conv' || !x || !w || w.constant) return undefined
  const [data, weight] = [sizesOf(x), sizesOf(w)]
  if (data?.length !== 4 || weight?.length !== 4 || !['', 'NOTSET'].includes(stringAttribute(node, 'auto_pad', ''))) {
    return undefined
  }
  const [channels = 0, each = 0, ...kernel] = weight
  const group = intAttribute(node, 'group', 1)
  const kind = kindOf(channels, each, group, block)
  if (!kind) return undefined
  return {
    ...{ node, x, w, bias, channels, kind, group, kernel },
    strides: intsAttribute(node, 'strides') ?? [1, 1],
    dilations: intsAttribute(node, 'dilations') ?? [1, 1],
    pads: intsAttribute(node, 'pads') ?? [0, 0, 0, 0],
  }
}

function kindOf(channels: number, each: number, group: number, block: number): BlockedConvolution['kind'] | undefined {
  if (channels % block > 0) return undefined
  if (group === channels && each === 1) return 'depthwise'
  if ((channels / group) % block > 0) return undefined
  if (each % block === 0) return 'full'
  const inputs = each * group
  return each < block && (inputs < block || inputs % block === 0) ? 'thin' : undefined
}
