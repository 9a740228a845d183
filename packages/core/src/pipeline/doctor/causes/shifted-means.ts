import { type Cause, requestsFor } from '../cause.ts'

/** More than half of the error of a layer's output is a constant in each channel. */
const SHARE = 0.5

export const shiftedMeans: Cause = {
  name: 'shifted-means',
  title: 'Quantization shifts the means of a layer’s channels',
  explanation:
    'The rounding errors of a channel’s weights do not cancel, so that its output is off by nearly the same everywhere.',
  level: 'warning',
  find: ({ shifts }) =>
    [...shifts].flatMap(([node, share]) =>
      share < SHARE
        ? []
        : [{ at: { node }, evidence: { 'share of the error that is a shift': share }, severity: share }],
    ),
  remedy: (_, exam) => ({
    text: 'take the shift off the biases',
    patch: { algorithms: requestsFor(['bias-correction'], exam) },
  }),
}
