import type { Value } from '../../ir/index.ts'
import type { GradBuilder } from '../../ops/index.ts'
import { must, problem } from '../../util/index.ts'
import type { LossInputs, LossNeed } from '../loss.ts'

/** What outputs are compared with: fed tensors, or a teacher's outputs. */
export interface AgainstOption {
  readonly against: 'targets' | 'teacher'
}

export const AGAINST = {
  against: {
    summary: 'what outputs are compared with: tensors of the data, or the outputs of the teacher',
    default: 'targets',
    choices: ['targets', 'teacher'],
  },
} as const

export const needsOf = ({ against }: AgainstOption): readonly LossNeed[] => [against]

/** The sum over all outputs of a term for output and target. */
export function overPairs(
  g: GradBuilder,
  { outputs, targets, teacher }: LossInputs,
  { against }: AgainstOption,
  term: (output: Value, target: Value) => Value,
): Value {
  const others = must(against === 'teacher' ? teacher?.outputs : targets, against)
  if (others.length < outputs.length) {
    throw problem('TRAIN_TEACHER', `the teacher has ${others.length} outputs and the network ${outputs.length}`, {
      fix: 'give a teacher with the same outputs',
    })
  }
  const terms = outputs.map((output, i) => term(output, must(others[i], 'target')))
  return terms.length === 1 ? must(terms[0], 'term') : g.op('Sum', terms)
}
