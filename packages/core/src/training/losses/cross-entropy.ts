import { attribute } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { type Definition, maker } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { LossBody } from '../loss.ts'
import { classScores, oneHot } from './class-scores.ts'

export interface CrossEntropyOptions {
  readonly labelSmoothing: number
}

/**
 * −Σ q·log softmax(logits) over the classes, where q is 1 − ε at the label and ε/C is added everywhere; the mean over the batch (and over
 * positions, where there are any).
 */
export const crossEntropyDefinition: Definition<CrossEntropyOptions, LossBody> = {
  name: 'cross-entropy',
  title: 'Cross-entropy',
  summary: 'compares class scores with labels',
  source: 'label smoothing: Szegedy 2016, arXiv:1512.00567',
  options: {
    labelSmoothing: { summary: 'share of a label that is spread over all classes', default: 0, least: 0, most: 1 },
  },
  make: ({ labelSmoothing }) => ({
    needs: ['labels'],
    write(g, { logits, labels }) {
      const of = classScores(g, logits, 'cross-entropy')
      const logs = g.op('LogSoftmax', [of.scores], { axis: attribute.int(1) })
      const hard = oneHot(g, must(labels, 'labels'), of)
      const q = labelSmoothing === 0 ? hard : g.add(g.mul(hard, 1 - labelSmoothing), labelSmoothing / of.classes)
      return g.neg(g.meanOf(g.sum(g.mul(q, logs), [1], false)))
    },
  }),
}

export const crossEntropy = maker(LOSS, crossEntropyDefinition)
