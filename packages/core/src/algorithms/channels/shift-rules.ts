import type { Node } from '../../ir/index.ts'
import { Decline, intAttribute, intsAttribute, linearLayer, stringAttribute } from '../../passes/index.ts'
import { CHANNEL_RULES, type ChannelRule, channelwise, homogeneous } from './rules.ts'

/** Operators by which elements are moved and none is added: what is added to all elements of a channel stays with them. */
const MOVERS = ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Concat', 'Gather', 'Slice', 'Split']

/** A layer whose bias can take up what its input lost. A Conv with padding can only do so away from the border. */
const linear =
  (throughPadding: boolean): ChannelRule =>
  (node, t) => {
    const layer = linearLayer(node, t.cx)
    if (layer === undefined || layer instanceof Decline) return false
    if (!throughPadding && !everyTapMeetsInput(node)) t.fix(node.inputs[0])
    return (CHANNEL_RULES[node.opType] as ChannelRule)(node, t)
  }

/** Relu and its relatives are the identity above zero. */
const aboveZero: ChannelRule = (node, t) => homogeneous(node, t)

/** Means and maxima of what is shifted alike are shifted as much; a mean over padded zeros is not. */
const pooled: ChannelRule = (node, t) => {
  const padded = (intsAttribute(node, 'pads') ?? []).some((p) => p !== 0) || isSame(node)
  if (padded && intAttribute(node, 'count_include_pad', 0) === 1) return false
  return channelwise(node, t)
}

const isSame = (node: Node): boolean => stringAttribute(node, 'auto_pad', 'NOTSET').startsWith('SAME')

/** True where each output sums the same taps: a Gemm, a Conv without padding. */
export function everyTapMeetsInput(node: Node): boolean {
  if (node.opType === 'Gemm') return true
  return node.opType === 'Conv' && !isSame(node) && (intsAttribute(node, 'pads') ?? []).every((p) => p === 0)
}

/** Rules by which a constant that is subtracted from a channel passes on to the layers that read it. */
export function shiftRules(throughPadding: boolean): Readonly<Record<string, ChannelRule>> {
  const only = new Set(['Conv', 'ConvTranspose', 'Gemm'])
  return {
    ...Object.fromEntries([...only].map((type) => [type, linear(throughPadding)])),
    ...Object.fromEntries(MOVERS.map((type) => [type, CHANNEL_RULES[type] as ChannelRule])),
    ...Object.fromEntries(['Relu', 'LeakyRelu', 'PRelu'].map((type) => [type, aboveZero])),
    ...Object.fromEntries(
      ['MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool'].map((type) => [type, pooled]),
    ),
    ReduceMean: CHANNEL_RULES.ReduceMean as ChannelRule,
    Identity: homogeneous,
  }
}
