import { problem } from '../util/index.ts'
import type { ActivationRule, Target, TensorRule } from './target.ts'

/** Bit widths by role; a role that is missing stays float. */
export interface Scheme {
  readonly name: string
  readonly weights?: { readonly bits: number; readonly group?: number }
  readonly activations?: { readonly bits: number }
}

const PATTERN = /^w(\d+)(?:a(\d+))?(?:g(\d+))?$/

/**
 * `w8a8`, `w4a8`, `w8a16`: bits of weights and activations. `w8`, `w4g32`: weights only, in groups of 32 along the summed
 * axis. `float`: nothing. Weights take 1 to 8 bits or 16, activations 2 to 8 or 16. One bit is the sign: ±scale.
 * @throws FewbitError SCHEME_UNKNOWN
 */
export function parseScheme(text: string): Scheme {
  if (text === 'float') return { name: text }
  const [, weights, activations, group] = PATTERN.exec(text) ?? []
  if (!weights) throw unknown(text, 'it has the form w8a8')
  const [w, a, g] = [Number(weights), Number(activations), Number(group)]
  if (w < 1 || (w > 8 && w !== 16)) throw unknown(text, 'weights take 1 to 8 bits, or 16')
  if (activations && (a < 2 || (a > 8 && a !== 16))) throw unknown(text, 'activations take 2 to 8 bits, or 16')
  if (group && (g < 16 || (g & (g - 1)) !== 0)) throw unknown(text, 'a group is a power of two from 16 up')
  return {
    name: text,
    weights: { bits: w, ...(group ? { group: g } : {}) },
    ...(activations ? { activations: { bits: a } } : {}),
  }
}

export const defaultScheme = (target: Target): string => target.defaultScheme ?? 'w8a8'

const unknown = (text: string, why: string) =>
  problem('SCHEME_UNKNOWN', `"${text}" is not a scheme: ${why}`, {
    at: { option: 'scheme' },
    fix: 'write float, or w<bits>a<bits> such as w8a8, w4a8, w8a16, or w8 for weights only',
  })

/** A scheme in a target's terms. */
export interface SchemeRules {
  readonly scheme: Scheme
  readonly weights: TensorRule | undefined
  readonly groupSize: number | undefined
  readonly activations: ActivationRule | undefined
}

export interface RuleOptions {
  /** Codes of activations: the target's own choice unless given. */
  readonly activations?: 'signed' | 'unsigned'
  readonly weightGranularity?: 'tensor' | 'channel'
}

/**
 * A scheme with the target's symmetry and granularity.
 * @throws FewbitError SCHEME_UNSUPPORTED for bit widths that the target cannot hold.
 */
export function schemeRules(scheme: Scheme, target: Target, options: RuleOptions = {}): SchemeRules {
  const { weights, activations } = scheme
  checkBits(scheme, 'weights', target)
  checkBits(scheme, 'activations', target)
  const signed = options.activations ? options.activations === 'signed' : target.activations.signed
  const granularity = options.weightGranularity ?? target.weights.granularity
  return {
    scheme,
    weights: weights && { ...lowBitWeights(withBits(target.weights, weights.bits)), granularity },
    groupSize: weights?.group,
    activations: activations && { ...withBits(target.activations, activations.bits), signed },
  }
}

function checkBits(scheme: Scheme, role: 'weights' | 'activations', target: Target): void {
  const bits = scheme[role]?.bits
  const allowed = target.bits[role]
  if (bits === undefined || allowed.includes(bits)) return
  throw problem(
    'SCHEME_UNSUPPORTED',
    `${target.title} cannot hold ${role} of ${bits} bits, which "${scheme.name}" asks for`,
    {
      at: { option: 'scheme' },
      fix:
        allowed.length > 0
          ? `${role} take ${allowed.join(', ')} bits on this target`
          : `${role} stay in float on this target`,
    },
  )
}

/** At fewer bits than the target's own the lowest code is too much to give away (3 % of the range at 5 bits, 7 % at 4). */
function withBits<R extends TensorRule>(rule: R, bits: number): R {
  if (bits === rule.bits) return rule
  const { narrow: _narrow, codes: _codes, ...rest } = rule
  return { ...(rest as R), bits, narrow: false }
}

/**
 * With half a step cut off its largest positive weight, a channel loses more at 4 to 7 bits than a finer grid gains the others. At 2 bits
 * the grid is worth more, at 3 it depends on the network.
 */
function lowBitWeights(rule: TensorRule): TensorRule {
  const { bits, signed, symmetric, codes, narrow, format } = rule
  const applies = signed && symmetric && !narrow && !codes && !format && bits >= 4 && bits <= 7
  return applies ? { ...rule, bothEnds: true } : rule
}
