import { type Definition, maker } from '../definition.ts'
import { SCHEDULE } from '../kinds.ts'
import { type ScheduleBody, WARMUP, type WarmupOptions, warmed } from '../schedule.ts'

export interface FallingOptions extends WarmupOptions {
  readonly end: number
}

export const END = { summary: 'share of the rate that is left at the end', default: 0, least: 0, most: 1 } as const

/** end + (1 − end)·(1 + cos πt)/2. */
export const cosineDefinition: Definition<FallingOptions, ScheduleBody> = {
  name: 'cosine',
  title: 'Cosine',
  summary: 'falls along half a cosine: slowly at first and in the end',
  source: 'Loshchilov & Hutter 2017, arXiv:1608.03983',
  options: { ...WARMUP, end: END },
  make: (options) => ({
    factor: warmed(options, (t) => options.end + ((1 - options.end) * (1 + Math.cos(Math.PI * t))) / 2),
  }),
}

export const cosine = maker(SCHEDULE, cosineDefinition)
