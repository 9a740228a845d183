import { batchStatistics, foldedBias, foldFactor } from './fold.ts'
import type { BatchNormStrategy } from './strategy.ts'

/**
 * Krishnamoorthi 2018, arXiv:1806.08342, section 3.2.2: the weight that is quantized is folded with running statistics, so that it does not
 * jump from batch to batch; the output is brought to the batch's by σ/σ_B, and the bias is the batch's.
 */
export const whitePaperFold: BatchNormStrategy = {
  name: 'white-paper-fold',
  number: 3,
  title: 'folding with correction',
  summary: 'the weight is folded with running statistics, and the output corrected to the batch’s by σ/σ_B',
  source: 'Krishnamoorthi 2018, arXiv:1806.08342, section 3.2.2',
  kind: 'folded',
  train(site) {
    const { mean, variance, updates } = batchStatistics(site)
    const [running, batch] = [site.deviation(site.variance, 'running'), site.deviation(variance, 'batch')]
    site.layer.setInput(1, site.quantizers.weight(site.scaledWeight(foldFactor(site, running))))
    site.layer.truncateInputs(2)
    const correction = site.op('Div', [running, batch], 'correction_factor')
    const bias = foldedBias(site, mean, site.op('Div', [site.gamma, batch], 'batch_factor'), undefined)
    const [spreadCorrection, spreadBias] = [site.overOutput(correction, 'correction'), site.overOutput(bias, 'bias')]
    const output = site.layerOutput()
    const corrected = site.op('Mul', [output, spreadCorrection], 'corrected')
    site.replaceNorm(site.op('Add', [corrected, spreadBias], 'normalized'))
    return updates
  },
}
