import type { OptionedKind } from '../util/index.ts'

export const OPTIMIZER: OptionedKind = { noun: 'optimizer', code: 'OPTIMIZER', option: 'optimizer' }
export const LOSS: OptionedKind = { noun: 'loss', code: 'LOSS', option: 'loss' }
export const SCHEDULE: OptionedKind = { noun: 'schedule', code: 'SCHEDULE', option: 'schedule' }
