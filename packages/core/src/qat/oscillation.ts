import { Tensor, type Value } from '../ir/index.ts'
import type { GradBuilder } from '../ops/index.ts'
import { MIN_SCALE } from '../quant/index.ts'
import type { Constrained, Constraint, Progress } from '../training/index.ts'
import { must } from '../util/index.ts'
import type { OscillationOptions } from './oscillation-options.ts'
import type { OscillationSite } from './oscillation-sites.ts'

/**
 * Oscillation of weights (Nagel et al. 2022, arXiv:2203.11086). With integers w_t = round(W/s) of successive steps and Δ_t = w_t − w_{t−1}, a
 * weight oscillates at t if Δ_t ≠ 0 and its sign is not that of its change before. Frequency and mean of the integers are moving averages,
 *
 *     f_t = m·o_t + (1 − m)·f_{t−1},    a_t = m·w_t + (1 − m)·a_{t−1}
 *
 * `freeze`: a weight whose f exceeds a threshold stays at round(a) for good; its W follows scale and γ/σ. `dampen`: W is drawn to the middle
 * of its code by the gradient of λ·(W − ŵ)², ŵ constant, elements beyond the outermost codes left alone. `track`: neither.
 *
 * A step sees the codes of the weights that it starts from, so that figures are those of the weights before the last update.
 */
export function oscillation(sites: readonly OscillationSite[], options: OscillationOptions): Constraint {
  const known = new Map(sites.map((site) => [site.weight, site]))
  return {
    name: 'oscillation',
    scalars: (progress) => scalarsOf(progress, options),
    toJSON: () => ({ name: 'oscillation', options: { ...options } }),
    slots({ name }, initial) {
      if (!known.has(name)) return undefined
      const zeros = () => Tensor.float32(initial.dims, new Float32Array(initial.size))
      return Object.fromEntries(SLOTS.map((slot) => [slot, zeros()]))
    },
    write(g, update) {
      const site = must(known.get(update.parameter.name), 'place of the weight')
      return writeSite(g, update, site, options)
    },
  }
}

/** `code`, `direction` of the last change, `frequency`, `mean` of codes, `frozen` (0 or 1). */
const SLOTS = ['code', 'direction', 'frequency', 'mean', 'frozen'] as const
type Slots = Readonly<Record<(typeof SLOTS)[number], Value>>

/** Half a cosine from one value to the other. */
const annealed = (from: number, to: number, { step, total }: Progress): number =>
  to + ((from - to) * (1 + Math.cos((Math.PI * step) / total))) / 2

function scalarsOf(progress: Progress, { threshold, thresholdStart, weight }: OscillationOptions) {
  return {
    first: progress.step === 1 ? 1 : 0,
    threshold: annealed(Math.max(thresholdStart, threshold), threshold, progress),
    strength: annealed(0, weight, progress),
  }
}

function writeSite(g: GradBuilder, update: Constrained, site: OscillationSite, options: OscillationOptions) {
  const { network, scalars, param } = update
  const old = update.slots as Slots
  const scale = g.op('Max', [g.op('Abs', [network.value(site.scale)]), MIN_SCALE])
  const code = g.op('Round', [g.div(network.value(site.rounded), scale)])
  const tracked = track(g, old, code, { momentum: options.momentum, first: must(scalars.first, 'first') })
  const next = { ...old, ...tracked, code }
  if (options.mode === 'track') return { param, slots: next }
  const factor = site.factor === undefined ? undefined : network.value(site.factor)
  if (options.mode === 'dampen') return { param: dampened(g, update, { site, scale, code, factor }), slots: next }
  const frozen = g.op('Max', [
    old.frozen,
    asNumber(g, g.op('Greater', [tracked.frequency, must(scalars.threshold, 'threshold')])),
  ])
  const held = g.where(asMask(g, old.frozen), old.mean, g.op('Round', [tracked.mean]))
  const mean = g.where(asMask(g, frozen), held, tracked.mean)
  const place = unfold(g, g.mul(scale, mean), factor)
  return { param: g.where(asMask(g, frozen), place, param), slots: { ...next, mean, frozen } }
}

function track(g: GradBuilder, old: Slots, code: Value, { momentum, first }: { momentum: number; first: Value }) {
  const change = g.mul(g.sub(code, old.code), g.sub(1, first))
  const sign = g.op('Sign', [change])
  const isTurn = asNumber(g, g.op('Less', [g.mul(sign, old.direction), 0]))
  const average = (before: Value, now: Value) => g.add(g.mul(now, momentum), g.mul(before, 1 - momentum))
  const begun = g.op('Greater', [first, 0])
  return {
    direction: g.where(g.op('Equal', [sign, 0]), old.direction, sign),
    frequency: average(old.frequency, isTurn),
    mean: g.where(begun, code, average(old.mean, code)),
  }
}

interface Rounded {
  readonly site: OscillationSite
  readonly scale: Value
  readonly code: Value
  readonly factor: Value | undefined
}

/** W ← W − η·2λ·(W − ŵ) where W is at most half a step from its code: beyond the outermost codes it is further away. */
function dampened(g: GradBuilder, { old, param, lr, scalars }: Constrained, { scale, code, factor }: Rounded): Value {
  const middle = g.mul(scale, code)
  const folded = factor ? g.mul(old, factor) : old
  const inside = g.op('LessOrEqual', [g.op('Abs', [g.sub(folded, middle)]), g.mul(scale, 0.5 + 1e-4)])
  const pull = g.mul(g.mul(lr, 2), g.mul(must(scalars.strength, 'strength'), g.sub(old, unfold(g, middle, factor))))
  return g.where(inside, g.sub(param, pull), param)
}

/** No factor, however small, is divided by: the weights of a channel with γ = 0 have one code, 0. */
const LEAST = 2 ** -60

function unfold(g: GradBuilder, value: Value, factor: Value | undefined): Value {
  if (!factor) return value
  const isSmall = g.op('Less', [g.op('Abs', [factor]), LEAST])
  return g.div(value, g.where(isSmall, LEAST, factor))
}

const asNumber = (g: GradBuilder, mask: Value): Value => g.cast(mask, 'float32')
const asMask = (g: GradBuilder, number: Value): Value => g.op('Greater', [number, 0.5])
