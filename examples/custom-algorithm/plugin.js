import { Tensor } from 'fewbit'

/** Cuts outlying weights, which stretch the scale of all others, to so many standard deviations of their tensor. */
const clipWeights = {
  name: 'clip-weights',
  title: 'Clipping of outlying weights',
  summary: 'cuts weights of convolutions to so many standard deviations',
  source: 'examples/README.md',
  stage: 'float',
  options: { sigmas: { summary: 'standard deviations that weights keep', default: 4, least: 1 } },
  needsData: false,
  preserves: 'approximate',
  async apply({ model }, { sigmas }) {
    const changed = []
    for (const node of model.graph.nodes) {
      const weight = node.inputs[1]
      if (node.opType !== 'Conv' || !weight?.constant || weight.useCount !== 1) continue
      const values = Float32Array.from(weight.constant.numbers())
      const limit = sigmas * Math.sqrt(values.reduce((sum, w) => sum + w * w, 0) / values.length)
      if (values.every((w) => Math.abs(w) <= limit)) continue
      const clipped = values.map((w) => Math.max(-limit, Math.min(limit, w)))
      weight.constant = Tensor.float32(weight.constant.dims, clipped)
      changed.push(node.name)
    }
    return { changed }
  },
}

export const plugin = { name: 'example-algorithm', algorithms: [clipWeights] }
