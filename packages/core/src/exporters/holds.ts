import type { TensorPlan } from '../quant/index.ts'
import type { Holds } from './completeness.ts'

/** The first objection, if any. */
export const every =
  (...rules: readonly Holds[]): Holds =>
  (tensor, params) => {
    for (const rule of rules) {
      const answer = rule(tensor, params)
      if (answer !== true) return answer
    }
    return true
  }

/** A rule for tensors of these roles only. */
export const of =
  (roles: readonly TensorPlan['role'][], ...rules: readonly Holds[]): Holds =>
  (tensor, params) =>
    !roles.includes(tensor.role) || every(...rules)(tensor, params)

export const activations = (...rules: readonly Holds[]): Holds => of(['activation'], ...rules)
export const weights = (...rules: readonly Holds[]): Holds => of(['weight'], ...rules)

export const integers: Holds = (_, { spec }) => !spec.format || `it knows integers only, not ${spec.format.kind}`

export const perTensor: Holds = (_, { spec, scale }) =>
  (spec.granularity.kind === 'tensor' && scale.length === 1) || 'it has one scale for a tensor'

export const noGroups: Holds = (_, { spec }) =>
  spec.granularity.kind !== 'group' || 'it has scales for tensors and channels, not for groups within a channel'

export const bits =
  (...widths: readonly number[]): Holds =>
  (_, { spec }) =>
    widths.includes(spec.bits) || `it holds ${widths.join(' and ')} bits, not ${spec.bits}`

/** Signed codes around zero. */
export const signedSymmetric: Holds = (_, { spec, zeroPoint }) =>
  (spec.signed && zeroPoint.every((z) => z === 0)) || 'it has no zero point, so that codes must be signed and symmetric'

/** Every code of the width is used, the lowest of signed ones aside: the format tells no other range. */
export const fullRange: Holds = (_, { spec }) => {
  const lowest = spec.signed ? -(2 ** (spec.bits - 1)) : 0
  const highest = lowest + 2 ** spec.bits - 1
  const full = spec.quantMax === highest && (spec.quantMin === lowest || (spec.signed && spec.quantMin === lowest + 1))
  return full || `it cannot say that codes end at ${spec.quantMin} and ${spec.quantMax}`
}

export const powersOfTwo: Holds = (_, { scale }) =>
  scale.every((s) => Number.isInteger(Math.log2(s))) || 'its scales are powers of two'

/** What |w| / 127 comes to, for backends that derive scales of weights from the weights. */
export const derivable: Holds = (_, { spec }) =>
  (!spec.powerOfTwo && spec.quantMin === -127 && spec.quantMax === 127) ||
  'its backend takes the largest weight / 127 for a scale, so that codes must reach from -127 to 127 on a free scale'

/** Names that a line of the format can carry. */
export const named =
  (forbidden: RegExp, what: string): Holds =>
  ({ value }) =>
    !forbidden.test(value) || `names with ${what} break its lines`
