import { type GraphBuilder, type Node, Tensor } from '../ir/index.ts'
import type { Requantizer } from './quantizers.ts'

/** The quantizer's input comes in steps of its scale already: it only rounds, adds the zero point and clips. */
export function onUnitScale({ quantizer, clip, scale }: Requantizer, b: GraphBuilder): void {
  quantizer.setInput(1, b.constant('unit', Tensor.float32([], [1])))
  if (clip) boundsInSteps(clip, scale, b)
}

/** A Clip whose values come in steps of a scale. */
export function boundsInSteps(clip: Node, scale: number, b: GraphBuilder): void {
  if (clip.opType !== 'Clip') return
  for (const i of [1, 2]) {
    const bound = clip.inputs[i]?.constant?.numbers()[0]
    if (bound !== undefined) clip.setInput(i, b.constant('bound', Tensor.float32([], [bound / scale])))
  }
}
