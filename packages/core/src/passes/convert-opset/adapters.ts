import type { Adapter } from './adapter.ts'
import { RESAMPLING } from './resampling.ts'
import { SEMANTICS } from './semantics.ts'
import { TO_INPUTS } from './to-inputs.ts'

const TABLES = [TO_INPUTS, RESAMPLING, SEMANTICS]

/**
 * Adapters of an operator for the change that came with a version, in order. None means that the change only added
 * element types, optional attributes or optional inputs with the old behaviour as their default.
 */
export const adaptersOf = (opType: string, version: number): readonly Adapter[] =>
  TABLES.flatMap((table) => table[opType]?.[version] ?? [])
