import { type Definitions, parseRecord, type RecordJson, readRecord } from '../definition.ts'
import { SCHEDULE } from '../kinds.ts'
import type { Schedule, ScheduleBody } from '../schedule.ts'
import { constantDefinition } from './constant.ts'
import { cosineDefinition } from './cosine.ts'
import { linearDefinition } from './linear.ts'
import { stepDefinition } from './step.ts'

export { constant } from './constant.ts'
export { cosine, type FallingOptions } from './cosine.ts'
export { linear } from './linear.ts'
export { type StepOptions, step } from './step.ts'

export const SCHEDULES = {
  constant: constantDefinition,
  step: stepDefinition,
  linear: linearDefinition,
  cosine: cosineDefinition,
} satisfies Definitions<ScheduleBody>

/** Reads `cosine:warmup=100`. @throws FewbitError SCHEDULE_UNKNOWN, SCHEDULE_OPTION */
export const parseSchedule = (text: string): Schedule => parseRecord(SCHEDULE, SCHEDULES, text)

/** @throws FewbitError SCHEDULE_UNKNOWN, SCHEDULE_OPTION */
export const readSchedule = (json: RecordJson): Schedule => readRecord(SCHEDULE, SCHEDULES, json)
