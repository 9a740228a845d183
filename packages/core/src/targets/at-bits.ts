import { parseScheme, type Scheme, type Target } from '../quant/index.ts'
import type { DType } from '../util/index.ts'

const AT = '-at-'

/** A backend, and whether it has kernels for what a scheme asks. */
export interface TargetAtBits {
  readonly target: Target
  /** It has none: its rules are taken at bits that it does not compute with. */
  readonly beyond: boolean
}

/**
 * The target's rules at the bits of a scheme, which is how papers ask what the rules of hardware cost at few bits: symmetry, granularity, scales,
 * fusion and quantizer points are the backend's, and only the codes are fewer. The name says so, lest it be taken for the backend.
 * @throws FewbitError SCHEME_*
 */
export function targetAtBits(target: Target, name: string): TargetAtBits {
  const scheme = parseScheme(name)
  const { bits, kernels } = target
  if (!lacks(bits.weights, scheme.weights) && !lacks(bits.activations, scheme.activations))
    return { target, beyond: false }
  const [weights, activations] = [scheme.weights?.bits, scheme.activations?.bits]
  return {
    beyond: true,
    target: {
      ...target,
      name: `${target.name}${AT}${name}`,
      title: `${target.title} at ${name}`,
      bits: { weights: including(bits.weights, weights), activations: including(bits.activations, activations) },
      kernels: {
        ...kernels,
        weights: [...kernels.weights, ...typesOf(weights)],
        activations: [...kernels.activations, ...typesOf(activations)],
      },
    },
  }
}

/** The name of a backend and the scheme at which its rules are taken, of a name that `targetAtBits` gave. */
export function splitAtBits(name: string): { readonly target: string; readonly scheme: string } | undefined {
  const at = name.lastIndexOf(AT)
  return at > 0 ? { target: name.slice(0, at), scheme: name.slice(at + AT.length) } : undefined
}

const lacks = (held: readonly number[], wanted: Scheme['weights']): boolean =>
  wanted !== undefined && !held.includes(wanted.bits)

const including = (held: readonly number[], bits: number | undefined): readonly number[] =>
  bits === undefined || held.includes(bits) ? held : [...held, bits]

/** What codes of so many bits are stored as. */
function typesOf(bits: number | undefined): readonly DType[] {
  if (bits === undefined || bits > 8) return []
  if (bits > 4) return ['int8', 'uint8']
  return bits > 2 ? ['int4', 'uint4'] : ['int2', 'uint2']
}
