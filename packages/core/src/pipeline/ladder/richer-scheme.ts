import { parseScheme, type Target } from '../../quant/index.ts'

/**
 * The next scheme with more bits that the backend holds: first weights of 8 bits, then activations of 16; undefined where there is none.
 * What the scheme leaves in float stays there.
 */
export function richerScheme(scheme: string, { bits }: Target): string | undefined {
  const { weights, activations } = parseScheme(scheme)
  if (!weights) return undefined
  const suffix = activations ? `a${activations.bits}` : ''
  if (weights.bits < 8) return bits.weights.includes(8) ? `w8${suffix}` : undefined
  return activations && activations.bits < 16 && bits.activations.includes(16) ? 'w8a16' : undefined
}
