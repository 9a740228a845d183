import { readFileSync } from 'node:fs'
import type { Result } from './shards.ts'
import { WAYS, type Way } from './ways.ts'

/** Reason → way → cases that do not pass it. */
type Expectations = Readonly<Record<string, Partial<Record<Way, readonly string[]>>>>

interface Expectation {
  readonly name: string
  readonly way: Way
  readonly reason: string
}

export function readExpectations(): Expectation[] {
  const text = readFileSync(new URL('./expectations.json', import.meta.url), 'utf8')
  const expectations: Expectations = JSON.parse(text)
  return Object.entries(expectations).flatMap(([reason, byWay]) =>
    WAYS.flatMap((way) => (byWay[way] ?? []).map((name) => ({ name, way, reason }))),
  )
}

export interface Verdict {
  readonly passed: number
  readonly skipped: number
  /** Sentences: failures that nobody expects, expectations that nothing fulfils. */
  readonly failures: readonly string[]
  readonly expected: number
}

/** An expected failure counts as skipped; one that passes, or that meets no case, is a failure of the list. */
export function judge(results: readonly Result[], expectations: readonly Expectation[]): Verdict {
  const failures: string[] = []
  const tally = { passed: 0, skipped: 0, expected: 0 }
  const used = new Set<Expectation>()
  for (const result of results) {
    const label = `${result.name} ${result.way}`
    const expectation = expectations.find((e) => e.way === result.way && e.name === result.name)
    if (expectation) used.add(expectation)
    if (expectation && result.status === 'failed') tally.expected++
    else if (expectation) failures.push(`${label}: ${result.status}, but is expected to fail: ${expectation.reason}`)
    else if (result.status === 'failed') failures.push(`${label}: ${result.reason}`)
    else tally[result.status]++
  }
  for (const e of expectations)
    if (!used.has(e)) failures.push(`${e.name} ${e.way}: expected to fail, but no such case`)
  return { ...tally, failures }
}
