import { type Cause, layersAt } from '../cause.ts'

export const accumulatorOverflow: Cause = {
  name: 'accumulator-overflow',
  title: 'The sum of a layer’s products can leave int32',
  explanation: 'With the codes of this layer there are inputs for which the accumulator wraps around.',
  level: 'error',
  find: ({ accumulators }) =>
    [...accumulators].flatMap(([node, { headroomBits, summands }]) =>
      headroomBits >= 0
        ? []
        : [{ at: { node }, evidence: { 'bits missing': -headroomBits, summands }, severity: -headroomBits }],
    ),
  remedy: (symptoms) => ({
    text: 'give the layer fewer bits, or keep it in float',
    patch: { floatNodes: layersAt(symptoms) },
  }),
}
