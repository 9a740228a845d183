import type { Value } from '../../ir/index.ts'
import type { NormSite } from './site.ts'
import type { Updates } from './strategy.ts'

/** No number, however small, is divided by: where γ is 0, the folded weight is too, and 0 / 2^-60 is 0 again. */
const LEAST = 2 ** -60

/** γ/√(σ² + ε) of some statistics. */
export const foldFactor = (site: NormSite, deviation: Value): Value =>
  site.op('Div', [site.gamma, deviation], 'fold_factor')

/** The factor with a magnitude that can be divided by, its sign kept. */
export function divisor(site: NormSite, factor: Value): Value {
  const least = site.scalar('least_factor', LEAST)
  const small = site.op('Less', [site.op('Abs', [factor], 'factor_magnitude'), least], 'factor_small')
  return site.op('Where', [small, least, factor], 'factor_divisor')
}

/** (b − mean)·factor + β, of a layer without bias: β − mean·factor. */
export function foldedBias(site: NormSite, mean: Value, factor: Value, bias: Value | undefined): Value {
  const { beta } = site
  if (!bias) return site.op('Sub', [beta, site.op('Mul', [mean, factor], 'folded_mean')], 'folded_bias')
  const centred = site.op('Sub', [bias, mean], 'centred_bias')
  return site.op('Add', [site.op('Mul', [centred, factor], 'scaled_bias'), beta], 'folded_bias')
}

/**
 * Folds the running statistics in the graph:
 *
 *     W′ = FQ(W·γ/√(σ² + ε)),  b′ = β + γ·(b − μ)/√(σ² + ε),  y = W′∗x + b′
 *
 * This is how all folding strategies are evaluated, and what is deployed.
 */
export function foldRunning(site: NormSite): Updates {
  const factor = foldFactor(site, site.deviation(site.variance, 'running'))
  site.layer.setInput(1, site.quantizers.weight(site.scaledWeight(factor)))
  site.layer.setInput(2, site.quantizers.bias(foldedBias(site, site.mean, factor, site.bias)))
  site.replaceNorm()
  return new Map()
}

/**
 * Folds the running statistics into a weight that was rounded without them, as it is deployed: with a = γ/√(σ² + ε), the scales s′ = s·|a| and
 * W′ = R(FQ(W)·a / s′)·s′, which keeps the codes. A channel of a = 0 is 0 throughout, and takes the largest scale of the others.
 * @param scale of the weight's fake-quantizer, one for each output channel.
 * @returns s′, in the shape of `scale`.
 */
export function foldBehindRounding(site: NormSite, scale: Value): Value {
  const factor = foldFactor(site, site.deviation(site.variance, 'running'))
  const magnitudes = site.overWeight(site.op('Abs', [factor], 'fold_magnitude'), 'magnitude')
  const scaled = site.op('Mul', [scale, magnitudes], 'folded_scale')
  const [zero, one] = [site.scalar('zero', 0), site.scalar('one', 1)]
  const isZero = (value: Value, name: string) => site.op('Equal', [value, zero], name)
  const most = site.most(scaled, 'folded_scale_most')
  const filler = site.op('Where', [isZero(most, 'no_scale'), one, most], 'filler')
  const steps = site.op('Where', [isZero(scaled, 'scale_is_zero'), filler, scaled], 'folded_steps')
  const folded = site.scaledWeight(factor, site.quantizers.weight(site.weight))
  const codes = site.op('Round', [site.op('Div', [folded, steps], 'folded_weight_steps')], 'folded_weight_codes')
  site.layer.setInput(1, site.op('Mul', [codes, steps], 'folded_weight_on_grid'))
  site.layer.setInput(2, site.quantizers.bias(foldedBias(site, site.mean, factor, site.bias)))
  site.replaceNorm()
  return steps
}

export interface BatchStatistics {
  /** Of the layer's output without its bias. */
  readonly mean: Value
  /** Biased: the mean of squared distances. */
  readonly variance: Value
  readonly updates: Updates
}

/**
 * Statistics of a batch from the layer with its weight as it is, and the running ones after it: r ← m·r + (1 − m)·batch with ONNX's
 * momentum m, the variance by n/(n − 1) larger (PyTorch, and MQBench's own layer), of n elements in a channel.
 */
export function batchStatistics(site: NormSite): BatchStatistics {
  const raw = site.rawLayer()
  const mean = site.channelMean(raw, 'batch_mean')
  const centred = site.op('Sub', [raw, site.overOutput(mean, 'batch_mean')], 'batch_centred')
  const variance = site.channelMean(site.op('Mul', [centred, centred], 'batch_squares'), 'batch_variance')
  const withBias = site.bias ? site.op('Add', [mean, site.bias], 'batch_mean_with_bias') : mean
  return { mean, variance, updates: runningUpdates(site, raw, withBias, variance) }
}

/**
 * @param sample what the statistics are of: its size is that of the batch.
 * @param mean with the layer's bias.
 */
export function runningUpdates(site: NormSite, sample: Value, mean: Value, variance: Value): Updates {
  const { momentum } = site
  const [keep, take] = [site.scalar('momentum', momentum), site.scalar('rest', 1 - momentum)]
  const next = (running: Value, batch: Value, name: string) =>
    site.op(
      'Add',
      [site.op('Mul', [running, keep], `${name}_kept`), site.op('Mul', [batch, take], `${name}_new`)],
      name,
    )
  const size = site.cast(site.op('Size', [sample], 'batch_size'), 'batch_elements')
  const count = site.op('Div', [size, site.scalar('channels', site.channels)], 'batch_count')
  // One element has no unbiased variance: 1/0 would end the running one.
  const [one, least] = [site.scalar('one', 1), site.scalar('least_count', 1)]
  const degrees = site.op('Max', [site.op('Sub', [count, one], 'count_less_one'), least], 'degrees')
  const unbiased = site.op('Mul', [variance, site.op('Div', [count, degrees], 'correction')], 'batch_variance_unbiased')
  return new Map([
    [site.mean.name, next(site.mean, mean, 'next_mean')],
    [site.variance.name, next(site.variance, unbiased, 'next_variance')],
  ])
}
