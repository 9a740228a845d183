import type { Value } from '../../ir/index.ts'
import { divisor, foldFactor, runningUpdates } from './fold.ts'
import type { NormSite } from './site.ts'
import type { BatchNormStrategy } from './strategy.ts'

/**
 * PyTorch's ConvBn modules (torch.ao.nn.intrinsic.qat), MQBench's default: quantize W·γ/σ, divide the output by γ/σ again, and let an
 * ordinary BatchNormalization follow, which sees the batch. One convolution.
 */
export const foldTorch: BatchNormStrategy = {
  name: 'fold-torch',
  number: 4,
  title: 'folding as PyTorch does',
  summary:
    'the folded weight is quantized, the output divided by the same factor, and normalized by the batch’s statistics',
  source: 'torch.ao.nn.intrinsic.qat.modules.conv_fused; MQBench, arXiv:2111.03759, strategy 4',
  kind: 'folded',
  train(site) {
    const factor = foldFactor(site, site.deviation(site.variance, 'running'))
    const safe = divisor(site, factor)
    const bias = site.quantizers.hasBias ? unfoldedBias(site, factor, safe) : site.bias
    site.layer.setInput(1, site.quantizers.weight(site.scaledWeight(factor)))
    site.layer.truncateInputs(2)
    const spread = site.overOutput(safe, 'divisor')
    const spreadBias = bias && site.overOutput(bias, 'bias')
    const unfolded = site.op('Div', [site.layerOutput(), spread], 'unfolded')
    const input = spreadBias ? site.op('Add', [unfolded, spreadBias], 'unfolded_with_bias') : unfolded
    site.norm.setInput(0, input)
    const [mean, variance] = site.statisticsOfNorm()
    return runningUpdates(site, input, mean, variance)
  },
}

/** The quantized bias is the folded one: FQ(β + (b − μ)·γ/σ), with the folding taken back (MQBench, Vitis's ConvBn). */
function unfoldedBias(site: NormSite, factor: Value, safe: Value): Value {
  const centred = site.bias
    ? site.op('Sub', [site.bias, site.mean], 'centred_bias')
    : site.op('Neg', [site.mean], 'centred_bias')
  const folded = site.op('Add', [site.op('Mul', [centred, factor], 'scaled_bias'), site.beta], 'folded_bias')
  const quantized = site.quantizers.bias(folded)
  const offset = site.op('Sub', [quantized, site.beta], 'bias_offset')
  return site.op('Add', [site.op('Div', [offset, safe], 'bias_unfolded'), site.mean], 'bias_back')
}
