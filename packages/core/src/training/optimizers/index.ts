import { type Definitions, parseRecord, type Recorded, type RecordJson, readRecord } from '../definition.ts'
import type { OptimizerBody } from '../optimizer.ts'
import { sgdDefinition } from './sgd.ts'

export { type SgdOptions, sgd } from './sgd.ts'

export const OPTIMIZERS = { sgd: sgdDefinition } satisfies Definitions<OptimizerBody>

/** Reads `sgd:momentum=0.9,nesterov=true`. @throws FewbitError OPTIMIZER_UNKNOWN, OPTIMIZER_OPTION */
export const parseOptimizer = (text: string): OptimizerBody & Recorded => parseRecord('optimizer', OPTIMIZERS, text)

/** @throws FewbitError OPTIMIZER_UNKNOWN, OPTIMIZER_OPTION */
export const readOptimizer = (json: RecordJson): OptimizerBody & Recorded => readRecord('optimizer', OPTIMIZERS, json)
