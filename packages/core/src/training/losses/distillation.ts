import { attribute } from '../../ir/index.ts'
import { must } from '../../util/index.ts'
import { type Definition, maker } from '../definition.ts'
import { LOSS } from '../kinds.ts'
import type { LossBody } from '../loss.ts'
import { classScores } from './class-scores.ts'

export interface DistillationOptions {
  readonly temperature: number
}

/**
 * T²·KL(softmax(z_teacher/T) ‖ softmax(z/T)), the mean over the batch. T² keeps gradients as large as they are at T = 1 (Hinton 2015).
 * Labels come in by a sum of losses: `0.3*cross-entropy + 0.7*distillation:temperature=4`.
 */
export const distillationDefinition: Definition<DistillationOptions, LossBody> = {
  name: 'distillation',
  title: 'Knowledge distillation',
  summary: 'compares class scores with those of a teacher',
  source: 'Hinton, Vinyals & Dean 2015, arXiv:1503.02531',
  options: {
    temperature: {
      summary: 'what logits are divided by: more shows more of the small scores',
      default: 4,
      least: 1e-3,
    },
  },
  make: ({ temperature }) => ({
    needs: ['teacher'],
    write(g, { logits, teacher }) {
      const logs = (values: typeof logits) => {
        const { scores } = classScores(g, values, 'distillation')
        return g.op('LogSoftmax', [g.div(scores, temperature)], { axis: attribute.int(1) })
      }
      const [student, expected] = [logs(logits), logs(must(teacher, 'teacher').logits)]
      const terms = g.mul(g.op('Exp', [expected]), g.sub(expected, student))
      return g.mul(g.meanOf(g.sum(terms, [1], false)), temperature ** 2)
    },
  }),
}

export const distillation = maker(LOSS, distillationDefinition)
