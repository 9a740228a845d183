import type { Diagnostic, Level } from '../../util/index.ts'

/** Where something was found. */
export interface FindingPlace {
  readonly kind: 'node' | 'value'
  readonly name: string
  /** What is particular here, such as the operator or a ratio. */
  readonly detail?: string
}

/** One thing that a backend will not like, at all places where it is so. JSON. */
export interface Finding {
  readonly code: string
  /** `error`: the backend's form cannot be written. `warning`: it costs speed or accuracy. `info`: good to know. */
  readonly level: Level
  readonly message: string
  readonly places: readonly FindingPlace[]
  readonly fix?: string
}

const LEVELS: readonly Level[] = ['error', 'warning', 'info']

/** Findings of one code and message become one; errors first, then in the order in which they were found. */
export function merged(findings: readonly Finding[]): Finding[] {
  const byText = new Map<string, Finding>()
  for (const finding of findings) {
    const key = `${finding.level} ${finding.code} ${finding.message}`
    const known = byText.get(key)
    byText.set(key, known ? { ...known, places: [...known.places, ...finding.places] } : finding)
  }
  return LEVELS.flatMap((level) => [...byText.values()].filter((f) => f.level === level))
}

export const nodePlace = (name: string, detail?: string): FindingPlace => ({
  kind: 'node',
  name,
  ...(detail === undefined ? {} : { detail }),
})

/** What another stage said, at the places that it named. */
export function fromDiagnostic({ code, level, message, at, data, fix }: Diagnostic): Finding {
  const listed = [data?.tensors, data?.values].flatMap((list) => (Array.isArray(list) ? list.map(String) : []))
  const values = listed.length > 0 ? listed : at?.value === undefined ? [] : [at.value]
  const places = [
    ...(at?.node === undefined ? [] : [nodePlace(at.node)]),
    ...values.map((name): FindingPlace => ({ kind: 'value', name })),
  ]
  return { code, level, message, places, ...(fix === undefined ? {} : { fix }) }
}
