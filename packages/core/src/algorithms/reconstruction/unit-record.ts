import type { QuantParams } from '../../quant/index.ts'
import { invariant } from '../../util/index.ts'
import type { FinishedPart } from '../algorithm.ts'
import type { Learned } from './deploy-unit.ts'
import type { Unit } from './units.ts'

/** What was done to one unit. JSON. */
export interface UnitDetails {
  readonly unit: string
  readonly layers: number
  /** Squared error of its outputs on what it sees, as a share of their squares in float. */
  readonly before: number
  readonly after: number
  /** It was worse than before, and was taken back. */
  readonly undone?: true
}

/** All that comes of a unit. */
export interface UnitRecord {
  /** Names of the nodes that changed. */
  readonly changed: readonly string[]
  /** Why it was left alone. */
  readonly notes: readonly string[]
  /** Absent where it was left alone. */
  readonly details?: UnitDetails
  /** Absent where everything stays as it was. */
  readonly learned?: Learned
}

/** As a run keeps it for a later one to go on from. */
export function partFor({ name }: Unit, { changed, notes, details, learned }: UnitRecord): FinishedPart {
  const facts = { unit: name, changed, notes, details, params: learned && [...learned.params] }
  return { facts, tensors: learned?.constants ?? new Map() }
}

/** @param part as `partFor` made it of the same unit. */
export function recordIn({ facts, tensors }: FinishedPart, { name }: Unit): UnitRecord {
  const { unit, changed, notes, details, params } = facts as unknown as Facts
  invariant(unit === name, () => `a part of "${unit}" where "${name}" is reconstructed`)
  const learned = params && { constants: tensors, params: new Map(params) }
  return { changed, notes, ...(details && { details }), ...(learned && { learned }) }
}

interface Facts extends Pick<UnitRecord, 'changed' | 'notes' | 'details'> {
  readonly unit: string
  readonly params?: readonly (readonly [string, QuantParams])[]
}
