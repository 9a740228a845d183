import { describe, expect, it } from 'vitest'
import { type AttrSpec, defaultOps, type OpDef, signatureAt } from './index.ts'
// The onnx package's own schemas; see tools/dump-onnx-schemas.py.
import golden from './onnx-schemas.json.golden?raw'

interface Signature {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attrs: Readonly<Record<string, readonly [string, boolean, unknown]>>
}

const FIRST_OPSET = 7
const LAST_OPSET = 25
const oracle: Record<string, Record<string, Signature | null>> = JSON.parse(golden)

/** Differences on purpose. */
const EXEMPT = new Map([
  ['Constant.sparse_value', 'kept by the IR as it is; nothing reads it'],
  ['Constant.value', 'version 1 requires it, later ones offer a choice; reading is the same'],
  ['SequenceEmpty.dtype', 'the schema states no default, the text says float'],
])

/** Marks decide what a node may omit; parameter names carry no meaning. */
const shapeOf = (parameters: readonly string[]): string[] => parameters.map((p) => /\?$|\.\.\.$/.exec(p)?.[0] ?? 'x')

const oracleVersions = (type: string): number[] => Object.keys(oracle[type] ?? {}).map(Number)

function oracleAt(type: string, version: number): Signature | undefined {
  const last = oracleVersions(type).findLast((v) => v <= version && oracle[type]?.[v])
  return (last === undefined ? undefined : oracle[type]?.[last]) ?? undefined
}

/** float32 constants are printed with nine digits; an empty list stands for an absent one. */
function sameDefault(ours: unknown, theirs: unknown): boolean {
  if (typeof ours === 'number' && typeof theirs === 'number') return Math.fround(ours) === Math.fround(theirs)
  if (theirs === null && Array.isArray(ours)) return ours.length === 0
  return JSON.stringify(ours ?? null) === JSON.stringify(theirs)
}

function attributeProblems(
  label: string,
  ours: Readonly<Record<string, AttrSpec<unknown>>>,
  theirs: Signature,
): string[] {
  return [...new Set([...Object.keys(ours), ...Object.keys(theirs.attrs)])].flatMap((name) => {
    const mine = ours[name]
    const other = theirs.attrs[name]
    if (EXEMPT.has(`${label.split(' ')[0]}.${name}`)) return []
    if (!mine || !other) return [`${label}: ${name} ${mine ? 'should not' : 'should'} exist`]
    const agree = mine.kind === other[0] && mine.required === other[1] && sameDefault(mine.default, other[2])
    return agree ? [] : [`${label}: ${name} is ${mine.kind}=${mine.default}, not ${other}`]
  })
}

function problemsOf(def: OpDef): string[] {
  return def.since
    .filter((v) => v <= LAST_OPSET && (def.since.findLast((since) => since <= FIRST_OPSET) ?? 0) <= v)
    .flatMap((version) => {
      const label = `${def.type} ${version}`
      const theirs = oracleAt(def.type, version)
      if (!theirs) return [`${label}: onnx has no such version`]
      const ours = signatureAt(def, version)
      expect.soft(shapeOf(ours.inputs), `${label} inputs`).toEqual(shapeOf(theirs.inputs))
      expect.soft(shapeOf(ours.outputs), `${label} outputs`).toEqual(shapeOf(theirs.outputs))
      return attributeProblems(label, ours.attrs, theirs)
    })
}

describe('operator schemas', () => {
  // ONNX Runtime's optimizer puts operators of its own into ai.onnx.
  const runtimeOnly = new Set(['SimplifiedLayerNormalization'])
  const inRange = (def: OpDef) => def.since.some((v) => v <= LAST_OPSET)
  const known = [...defaultOps].filter((def) => def.domain === '' && !runtimeOnly.has(def.type) && inRange(def))

  it.each(known.map((def) => [def.type, def] as const))(
    '%s agrees with the onnx package in every version',
    (type, def) => {
      expect(problemsOf(def)).toEqual([])
      const first = def.since[0] ?? 0
      // The version that withdrew an operator is no definition of it.
      const last = Math.min(LAST_OPSET, (def.deprecated ?? Infinity) - 1)
      const inForce = (v: number) => v >= first && v <= last
      expect(def.since.filter(inForce)).toEqual(oracleVersions(type).filter(inForce))
      expect(first).toBeLessThanOrEqual(Math.max(FIRST_OPSET, oracleVersions(type)[0] ?? 0))
    },
  )

  it('covers what networks and exporters use', () => {
    expect(known.length).toBeGreaterThanOrEqual(110)
  })
})
