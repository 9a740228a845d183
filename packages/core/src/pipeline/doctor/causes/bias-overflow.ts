import { type Cause, layersAt, placeOf, requestsFor } from '../cause.ts'

/** A bias this close to the end of int32 has had its weight's scale raised, or would overflow with any other. */
const REACH = 0.9

export const biasOverflow: Cause = {
  name: 'bias-overflow',
  title: 'A bias does not fit beside its products',
  explanation:
    'A bias is stored in units of scale(input) · scale(weight). One that is huge beside the layer’s products leaves int32, unless the weight’s scale is raised, which wastes its codes.',
  level: 'warning',
  find: ({ tensors }) =>
    tensors.flatMap((tensor) => {
      const { role, biasReach = 0 } = tensor
      if (role !== 'bias' || biasReach < REACH) return []
      return [{ at: placeOf(tensor), evidence: { 'largest code ÷ 2^31': biasReach }, severity: biasReach }]
    }),
  remedy: (symptoms, exam) =>
    exam.target.fallback === 'none'
      ? { text: 'even out the layers around it', patch: { algorithms: requestsFor(['cle'], exam) } }
      : { text: 'keep the layer in float', patch: { floatNodes: layersAt(symptoms) } },
}
