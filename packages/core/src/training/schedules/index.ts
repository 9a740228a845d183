import { type Definitions, parseRecord, type RecordJson, readRecord } from '../definition.ts'
import { SCHEDULE } from '../kinds.ts'
import type { Schedule, ScheduleBody } from '../schedule.ts'
import { constantDefinition } from './constant.ts'
import { cosineDecayDefinition } from './cosine-decay.ts'
import { linearDecayDefinition } from './linear-decay.ts'
import { stepDecayDefinition } from './step-decay.ts'

export { constant } from './constant.ts'
export { cosineDecay, type FallingOptions } from './cosine-decay.ts'
export { linearDecay } from './linear-decay.ts'
export { type StepDecayOptions, stepDecay } from './step-decay.ts'

export const SCHEDULES = {
  constant: constantDefinition,
  step: stepDecayDefinition,
  linear: linearDecayDefinition,
  cosine: cosineDecayDefinition,
} satisfies Definitions<ScheduleBody>

/** Reads `cosine:warmup=100`. @throws FewbitError SCHEDULE_UNKNOWN, SCHEDULE_OPTION */
export const parseSchedule = (text: string): Schedule => parseRecord(SCHEDULE, SCHEDULES, text)

/** @throws FewbitError SCHEDULE_UNKNOWN, SCHEDULE_OPTION */
export const readSchedule = (json: RecordJson): Schedule => readRecord(SCHEDULE, SCHEDULES, json)
