import { wildcard } from '../util/index.ts'
import type { Parameter } from './trainable.ts'

/** Parameters that are treated in a way of their own. JSON. Where several fit, each property is that of the first that has it. */
export interface ParameterGroup {
  /** Name of the parameter; `*` stands for any text. Default: any. */
  readonly match?: string
  readonly kinds?: readonly Parameter['kind'][]
  /** Factor of the learning rate. Default 1. */
  readonly lrScale?: number
  /** In place of the optimizer's. */
  readonly weightDecay?: number
  /** Stays as it is. */
  readonly frozen?: boolean
}

/** No decay of anything but weights: it would pull scales, shifts and step sizes to where they mean nothing. */
export const DECAY_WEIGHTS_ONLY: ParameterGroup = { kinds: ['bias', 'norm', 'quantizer'], weightDecay: 0 }

/** What the groups say of one parameter, each property by the first group that fits and has it. */
export function settingsOf(parameter: Parameter, groups: readonly ParameterGroup[]): ParameterGroup {
  const fitting = groups.filter(({ match, kinds }) => {
    return (match === undefined || matches(match, parameter.name)) && (kinds?.includes(parameter.kind) ?? true)
  })
  return Object.assign({}, ...fitting.toReversed())
}

export const matches = (pattern: string, name: string): boolean => wildcard(pattern).test(name)
