import { must } from '../../util/index.ts'
import { type Definition, maker } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { LossBody } from '../loss.ts'
import { classScores, oneHot } from './class-scores.ts'

export interface HingeOptions {
  readonly form: 'one-vs-all' | 'multi-class'
  readonly margin: number
  readonly power: number
}

/**
 * `one-vs-all`: max(0, m − t·x)ᵖ with t = 1 at the label and −1 elsewhere. `multi-class`: max(0, m − x_label + x_c)ᵖ for all other
 * classes c (Crammer & Singer 2001). The mean over samples and classes.
 */
export const hingeDefinition: Definition<HingeOptions, LossBody> = {
  name: 'hinge',
  title: 'Hinge',
  summary: 'asks class scores to keep a margin, and no more; squared, it is what binary networks were trained with',
  source: 'Tang 2013, arXiv:1306.0239; Courbariaux 2016, arXiv:1602.02830',
  options: {
    form: { summary: 'what scores are compared with', default: 'one-vs-all', choices: ['one-vs-all', 'multi-class'] },
    margin: { summary: 'the margin', default: 1, least: 0 },
    power: { summary: 'power of what is missing', default: 2, least: 1, most: 2 },
  },
  make: ({ form, margin, power }) => ({
    needs: ['labels'],
    write(g, { logits, labels }) {
      const of = classScores(g, logits, 'hinge')
      const hot = oneHot(g, must(labels, 'labels'), of)
      const missing =
        form === 'one-vs-all'
          ? g.sub(margin, g.mul(of.scores, g.sub(g.mul(hot, 2), 1)))
          : g.add(g.sub(of.scores, g.sum(g.mul(of.scores, hot), [1], true)), margin)
      const positive = g.op('Relu', [missing])
      const raised = power === 1 ? positive : power === 2 ? g.square(positive) : g.op('Pow', [positive, power])
      // The label itself keeps no margin to itself.
      return g.meanOf(form === 'one-vs-all' ? raised : g.mul(raised, g.sub(1, hot)))
    },
  }),
}

export const hinge = maker(LOSS, hingeDefinition)
