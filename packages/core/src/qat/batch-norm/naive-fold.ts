import { batchStatistics, foldedBias, foldFactor } from './fold.ts'
import type { BatchNormStrategy } from './strategy.ts'

/** Jacob et al. 2018, arXiv:1712.05877, section 3.2: the layer runs once for statistics, and once more with the folded weight. */
export const naiveFold: BatchNormStrategy = {
  name: 'naive-fold',
  number: 2,
  title: 'naive folding',
  summary: 'a first run of the layer gives the batch’s statistics, which weight and bias are folded with',
  source: 'Jacob et al. 2018, arXiv:1712.05877, section 3.2',
  kind: 'folded',
  train(site) {
    const { mean, variance, updates } = batchStatistics(site)
    const factor = foldFactor(site, site.deviation(variance, 'batch'))
    site.layer.setInput(1, site.quantizers.weight(site.scaledWeight(factor)))
    site.layer.setInput(2, site.quantizers.bias(foldedBias(site, mean, factor, undefined)))
    site.replaceNorm()
    return updates
  },
}
