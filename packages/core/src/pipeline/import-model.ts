import { type ImportedModel, importQuantized } from '../import/index.ts'
import type { Model } from '../ir/index.ts'
import { findTarget } from '../targets/index.ts'
import { recordedTarget } from './execution.ts'
import type { Run } from './run.ts'

/**
 * A quantized model taken apart, in the terms of its backend: the named one, or that which the file's recipe names.
 * @throws FewbitError IMPORT_FLOAT, TARGET_UNKNOWN
 */
export function importModel(model: Model, run: Run, target?: string): ImportedModel {
  const { targets } = run.registries
  const known = target === undefined ? recordedTarget(model, targets) : findTarget(target, targets)
  return importQuantized(model, run.ops, known ? { target: known } : {})
}
