import { cloneModel, type Model, Tensor, type Value } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'

/**
 * The demo's network before it has learned anything: weights normal with variance 2 / fan-in (He et al. 2015, arXiv:1502.01852),
 * biases 0, BatchNormalization as if data had mean 0 and variance 1.
 */
export function withFreshWeights(model: Model, seed: number): Model {
  const fresh = cloneModel(model)
  const random = rng(seed)
  for (const node of fresh.graph.nodes) {
    const [, first, second, third, fourth] = node.inputs
    if (node.opType === 'BatchNormalization') {
      for (const value of [first, fourth]) fill(value, () => 1)
      for (const value of [second, third]) fill(value, () => 0)
    } else if (node.opType === 'Conv' || node.opType === 'Gemm') {
      const [, ...fan] = first?.constant?.dims ?? []
      const deviation = Math.sqrt(2 / fan.reduce((n, d) => n * d, 1))
      fill(first, () => deviation * random.normal())
      fill(second, () => 0)
    }
  }
  return fresh
}

function fill(value: Value | null | undefined, draw: () => number): void {
  if (!value?.constant) return
  const { dims } = value.constant
  const length = dims.reduce((n, d) => n * d, 1)
  value.constant = Tensor.float32(dims, Float32Array.from({ length }, draw))
}
