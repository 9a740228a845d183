import { type Definitions, parseRecord, type Recorded, type RecordJson, readRecord } from '../definition.ts'
import type { LossBody } from '../loss.ts'
import { crossEntropyDefinition } from './cross-entropy.ts'

export { type CrossEntropyOptions, crossEntropy } from './cross-entropy.ts'

export const LOSSES = { 'cross-entropy': crossEntropyDefinition } satisfies Definitions<LossBody>

/** Reads `cross-entropy:labelSmoothing=0.1`. @throws FewbitError LOSS_UNKNOWN, LOSS_OPTION */
export const parseLoss = (text: string): LossBody & Recorded => parseRecord('loss', LOSSES, text)

/** @throws FewbitError LOSS_UNKNOWN, LOSS_OPTION */
export const readLoss = (json: RecordJson): LossBody & Recorded => readRecord('loss', LOSSES, json)
