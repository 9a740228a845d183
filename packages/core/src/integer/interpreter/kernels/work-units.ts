import type { SumJob } from './kernels.ts'

/** How the work of a layer is cut: blocks of groups, in them blocks of positions, in them blocks of channels. */
export interface WorkUnits {
  readonly groups: number
  readonly positions: number
  readonly channels: number
  /** Units along positions, along channels, and all. */
  readonly positionUnits: number
  readonly channelUnits: number
  readonly units: number
}

/** Threads that share a layer. */
export interface Sharing {
  readonly threads: number
  /** Products that are worth waking a thread for. */
  readonly leastWork: number
}

/** Units for each thread, so that one that comes late leaves its share to the others. */
const SHARE = 4

/** Groups are dealt out first, then positions; channels only where positions are few, because every unit collects its patches anew. */
export function workUnits(
  { samples, group, window, channels, terms }: SumJob,
  { threads, leastWork }: Sharing,
): WorkUnits {
  const groups = samples * group
  const plane = window[0].positions * window[1].positions
  const perGroup = channels / group
  const work = samples * plane * channels * terms
  const wanted = threads === 1 ? 1 : Math.max(1, Math.min(SHARE * threads, Math.floor(work / leastWork)))
  const groupUnits = Math.min(groups, wanted)
  const [groupSize, rest] = [Math.ceil(groups / groupUnits), Math.ceil(wanted / groupUnits)]
  const positions = upToFour(Math.ceil(plane / rest), plane)
  const positionUnits = Math.ceil(plane / positions)
  const channelSize = upToFour(Math.ceil(perGroup / Math.ceil(rest / positionUnits)), perGroup)
  const channelUnits = Math.ceil(perGroup / channelSize)
  const units = Math.ceil(groups / groupSize) * positionUnits * channelUnits
  return { groups: groupSize, positions, channels: channelSize, positionUnits, channelUnits, units }
}

/** Kernels take rows by four. */
const upToFour = (n: number, most: number): number => Math.min(most, Math.ceil(n / 4) * 4)
