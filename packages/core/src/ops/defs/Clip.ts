import { float, until } from '../attrs.ts'
import { defineOp } from '../define-op.ts'
import { clipGrad } from '../grads/select.ts'
import { likeInput } from '../shared/rules.ts'

/** Largest finite float32: the bounds' defaults until they became inputs. */
const FLOAT32_MAX = 3.4028234663852886e38

export const Clip = defineOp({
  type: 'Clip',
  since: [1, 6, 11, 12, 13],
  inputs: ['input', 'min?', 'max?'],
  outputs: ['output'],
  before: { 11: { inputs: ['input'] } },
  attrs: { min: until(11, float(-FLOAT32_MAX)), max: until(11, float(FLOAT32_MAX)) },
  infer: likeInput,
  elements(cx) {
    const bound = (i: number, open: number) => (cx.inputCount > i && cx.node.inputs[i] ? cx.elements(i)?.[0] : open)
    const [low, high] = cx.version < 11 ? [cx.attrs.min, cx.attrs.max] : [bound(1, -Infinity), bound(2, Infinity)]
    if (typeof low !== 'number' || typeof high !== 'number') return undefined
    return cx.elements(0)?.map((x) => (typeof x === 'number' ? Math.min(high, Math.max(low, x)) : null))
  },
  grad: clipGrad,
  quant: { roles: ['activation', 'fill', 'fill'], traits: ['fusable-activation'] },
})
