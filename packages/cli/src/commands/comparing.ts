import type { Tolerance } from '@fewbit/core/analysis'
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'

/** What compare and verify have in common. */
export interface ToleranceFlags {
  share?: number
  relative?: number
  sqnr?: number
}

function positive(text: string): number {
  const n = Number(text)
  if (text.trim() === '' || !(n >= 0)) throw new InvalidArgumentError('It must be a number from 0 up.')
  return n
}

export const withToleranceFlags = (command: Command): Command =>
  command
    .option('--share <number>', 'codes of a tensor that may differ, by one step (default 0.001)', positive)
    .option('--relative <number>', 'what floats may differ by, as a share of their peak (default 1e-4)', positive)
    .option('--sqnr <dB>', 'instead of both: the least signal to noise of a node, in dB', positive)

export function toleranceOf({ share, relative, sqnr }: ToleranceFlags): { tolerance?: Tolerance } {
  const tolerance = {
    ...(share !== undefined && { share }),
    ...(relative !== undefined && { relative }),
    ...(sqnr !== undefined && { sqnr }),
  }
  return Object.keys(tolerance).length > 0 ? { tolerance } : {}
}
