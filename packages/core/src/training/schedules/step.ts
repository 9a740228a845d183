import { problem } from '../../util/index.ts'
import { type Definition, maker } from '../definition.ts'
import { SCHEDULE } from '../kinds.ts'
import { type ScheduleBody, stepsOf, WARMUP, type WarmupOptions, warmed } from '../schedule.ts'

export interface StepOptions extends WarmupOptions {
  readonly gamma: number
  readonly at: string
}

export const stepDefinition: Definition<StepOptions, ScheduleBody> = {
  name: 'step',
  title: 'Steps',
  summary: 'falls to a share at chosen places',
  source: 'He 2016, arXiv:1512.03385',
  options: {
    ...WARMUP,
    gamma: { summary: 'share that is left at each place', default: 0.1, least: 0, most: 1 },
    at: { summary: 'places, in steps or, below 1, shares of the run, with | between them', default: '0.5|0.75' },
  },
  make({ gamma, at, ...warmup }) {
    const places = at.split('|').map(Number)
    if (!places.every((place) => place >= 0)) {
      const fix = 'write numbers with | between them, such as 0.5|0.75'
      throw problem('SCHEDULE_OPTION', `schedule step: "${at}" is no list of places`, { at: { option: 'at' }, fix })
    }
    return {
      factor: warmed(warmup, (_, step, rest) => gamma ** places.filter((place) => step >= stepsOf(place, rest)).length),
    }
  },
}

export const step = maker(SCHEDULE, stepDefinition)
