import { type Definition, maker } from '../definition.ts'
import { SCHEDULE } from '../kinds.ts'
import { type ScheduleBody, WARMUP, warmed } from '../schedule.ts'
import { END, type FallingOptions } from './cosine.ts'

export const linearDefinition: Definition<FallingOptions, ScheduleBody> = {
  name: 'linear',
  title: 'Linear',
  summary: 'falls along a line',
  source: 'docs/training.md',
  options: { ...WARMUP, end: END },
  make: (options) => ({ factor: warmed(options, (t) => 1 - (1 - options.end) * t) }),
}

export const linear = maker(SCHEDULE, linearDefinition)
