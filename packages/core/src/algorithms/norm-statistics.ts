import type { Model } from '../ir/index.ts'

/** Mean and standard deviation of each channel (axis 1) of a value over the training data. */
export interface ChannelMoments {
  readonly mean: Float64Array
  readonly std: Float64Array
}

/** By value name. */
export type NormStatistics = ReadonlyMap<string, ChannelMoments>

/**
 * What each BatchNormalization says of its output: its channels have mean β and standard deviation |γ| on the data that it was trained on
 * (Nagel 2019, arXiv:1906.04721, section 4.1.3). Folding keeps the names of outputs, so that the answer holds for the folded network.
 */
export function normStatistics(model: Model): NormStatistics {
  const found = new Map<string, ChannelMoments>()
  for (const node of model.graph.nodes) {
    const [, gamma, beta] = node.inputs
    const [output] = node.outputs
    if (node.qualifiedType !== 'BatchNormalization' || !output || !gamma?.constant || !beta?.constant) continue
    const mean = Float64Array.from(beta.constant.numbers())
    const std = Float64Array.from(gamma.constant.numbers(), Math.abs)
    if (mean.length === std.length) found.set(output.name, { mean, std })
  }
  return found
}
