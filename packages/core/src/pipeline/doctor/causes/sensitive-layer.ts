import { type Cause, layersAt } from '../cause.ts'

/** One layer makes as much noise as all others together. */
const SHARE = 0.5
const LEAST_LAYERS = 4
/** Outputs with more signal than this are good enough, in dB. */
const GOOD = 30

export const sensitiveLayer: Cause = {
  name: 'sensitive-layer',
  title: 'One layer makes most of the error of the outputs',
  explanation:
    'Quantized alone, this layer disturbs the outputs as much as all others together, and no other known cause explains it.',
  level: 'warning',
  isLast: true,
  find({ layers, whole }) {
    const noise = layers.map(({ isolated }) => isolated.mse)
    const total = noise.reduce((sum, n) => sum + n, 0)
    if (layers.length < LEAST_LAYERS || whole.sqnr >= GOOD || total === 0) return []
    return layers.flatMap(({ layer, isolated }, i) => {
      const share = (noise[i] as number) / total
      if (share < SHARE) return []
      return [
        {
          at: { node: layer.node },
          evidence: { 'share of the noise': share, 'SQNR alone (dB)': isolated.sqnr },
          severity: share,
        },
      ]
    })
  },
  remedy: (symptoms, { target }) =>
    target.fallback === 'none'
      ? { text: 'give the layer more bits, or train the network with quantization in it' }
      : { text: 'keep the layer in float', patch: { floatNodes: layersAt(symptoms) } },
}
