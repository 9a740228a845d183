import { type Shape, tensorType, type ValueType } from '../../../ir/index.ts'
import { float, int } from '../../attrs.ts'
import { defineOp, type InferContext } from '../../define-op.ts'
import { likeInput, typed } from '../../shared/rules.ts'

const epsilon = float(1e-12)
const common = { domain: 'com.microsoft', since: [1] } as const
const skipOutputs = ['output', 'mean?', 'inv_std_var?', 'input_skip_bias_sum?']

/** Output, mean and inverse deviation over the last axis, and the sum before normalization. */
function skipTypes(cx: InferContext): readonly (ValueType | undefined)[] {
  const shape = cx.input(0)?.shape
  const statistics = tensorType('float32', shape?.with(-1, 1))
  return [typed(cx, shape), statistics, statistics, typed(cx, shape)]
}

export const SkipLayerNormalization = defineOp({
  ...common,
  type: 'SkipLayerNormalization',
  inputs: ['input', 'skip', 'gamma', 'beta?', 'bias?'],
  outputs: skipOutputs,
  attrs: { epsilon },
  infer: (cx) => skipTypes(cx),
  quant: { roles: ['activation', 'activation', 'parameter', 'parameter', 'parameter'] },
})

export const SkipSimplifiedLayerNormalization = defineOp({
  ...common,
  type: 'SkipSimplifiedLayerNormalization',
  inputs: ['input', 'skip', 'gamma', 'bias?'],
  outputs: skipOutputs,
  attrs: { epsilon },
  infer: (cx) => skipTypes(cx),
  quant: { roles: ['activation', 'activation', 'parameter', 'parameter'] },
})

/** RMS normalization as ONNX Runtime writes it, in the standard domain. */
export const SimplifiedLayerNormalization = defineOp({
  type: 'SimplifiedLayerNormalization',
  since: [1],
  inputs: ['X', 'scale'],
  outputs: ['Y', 'inv_std_var?'],
  attrs: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  infer: (cx) => likeInput(cx),
  quant: { roles: ['activation', 'parameter'] },
})

/** [batch, sequence] tokens to [batch, sequence, hidden]. */
export const EmbedLayerNormalization = defineOp({
  ...common,
  type: 'EmbedLayerNormalization',
  inputs: [
    'input_ids',
    'segment_ids?',
    'word_embedding',
    'position_embedding',
    'segment_embedding?',
    'gamma',
    'beta',
    'mask?',
    'position_ids?',
  ],
  outputs: ['output', 'mask_index?', 'embedding_sum?'],
  attrs: { epsilon, mask_index_type: int(0) },
  infer(cx) {
    const ids = cx.input(0)?.shape
    const hidden: Shape | undefined = ids && [...ids, cx.input(2)?.shape?.[1] ?? null]
    const embedded = typed(cx, hidden, undefined, 2)
    return [embedded, tensorType('int32', ids?.slice(0, 1)), embedded]
  },
})
