import { type Definitions, parseRecord, type RecordJson, readRecord } from '../definition.ts'
import { OPTIMIZER } from '../kinds.ts'
import type { Optimizer, OptimizerBody } from '../optimizer.ts'
import { adamDefinition } from './adam.ts'
import { adamwDefinition } from './adamw.ts'
import { sgdDefinition } from './sgd.ts'

export { type AdamOptions, adam } from './adam.ts'
export { adamw } from './adamw.ts'
export { type SgdOptions, sgd } from './sgd.ts'

export const OPTIMIZERS = {
  sgd: sgdDefinition,
  adam: adamDefinition,
  adamw: adamwDefinition,
} satisfies Definitions<OptimizerBody>

/** Reads `sgd:momentum=0.9,nesterov=true`. @throws FewbitError OPTIMIZER_UNKNOWN, OPTIMIZER_OPTION */
export const parseOptimizer = (text: string): Optimizer => parseRecord(OPTIMIZER, OPTIMIZERS, text)

/** @throws FewbitError OPTIMIZER_UNKNOWN, OPTIMIZER_OPTION */
export const readOptimizer = (json: RecordJson): Optimizer => readRecord(OPTIMIZER, OPTIMIZERS, json)
