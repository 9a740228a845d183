import { type Definition, maker } from '../definition.ts'
import { SCHEDULE } from '../kinds.ts'
import { type ScheduleBody, WARMUP, type WarmupOptions, warmed } from '../schedule.ts'

export const constantDefinition: Definition<WarmupOptions, ScheduleBody> = {
  name: 'constant',
  title: 'Constant',
  summary: 'the same rate all along',
  source: 'docs/training.md',
  options: WARMUP,
  make: (options) => ({ factor: warmed(options, () => 1) }),
}

export const constant = maker(SCHEDULE, constantDefinition)
