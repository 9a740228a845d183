import type { TrainingData } from '../../training-data/index.ts'
import type { EvaluateOptions } from '../evaluate.ts'
import type { TrainOptions } from './train-options.ts'

/** How a network that trains is scored: by labels, or where there are none, by how close it is to the teacher. */
export function scoringOptions(
  data: TrainingData,
  { evaluation, teacher }: Pick<TrainOptions, 'evaluation' | 'teacher'>,
): Pick<EvaluateOptions, 'metrics' | 'against'> {
  const { metrics } = evaluation ?? {}
  const against = data.classes === undefined ? teacher : undefined
  return { ...(metrics && { metrics }), ...(against && { against }) }
}
