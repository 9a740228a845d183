import { qatOps } from '../fake-quantizers/index.ts'
import { cloneModel, type Model } from '../ir/index.ts'
import { defaultOps, type OpRegistry } from '../ops/index.ts'
import { foldAll } from './deploy.ts'
import { lift } from './lift.ts'
import { type QFloat, withoutRecord } from './qfloat.ts'

export interface LiftOptions {
  /** Default `folded`. `separate` leaves BatchNormalization behind its layers, so that the float network can be trained on. */
  readonly batchNorm?: 'folded' | 'separate'
  /** Needed where operators or fake-quantizers are others' own. */
  readonly ops?: OpRegistry
}

/** The plain float network under the fake-quantizers, with what was trained. */
export function liftToFloat(
  qfloat: QFloat,
  { batchNorm = 'folded', ops = qatOps(defaultOps) }: LiftOptions = {},
): Model {
  const float = withoutRecord(cloneModel(lift(qfloat, ops).base))
  if (batchNorm === 'folded') foldAll(float, qfloat.record.norms)
  return float
}
