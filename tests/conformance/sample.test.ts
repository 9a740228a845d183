import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { judge, readExpectations } from './expectations.ts'
import { type Result, runCases } from './shards.ts'
import { conformanceCases, missingSuite } from './suite.ts'
import { CaseRunner, WAYS } from './ways.ts'

/** An even sample of the suite that `npm run test:conformance` runs as a whole. */
const STEP = 31

describe.skipIf(missingSuite())('the ONNX backend suite', () => {
  const cases = missingSuite() ? [] : conformanceCases()
  const sample = cases.filter((_, i) => i % STEP === 0)
  const engine = nodeEngine({ threads: 1 })
  const expectations = readExpectations()

  it('is there as a whole', () => {
    expect(cases.length).toBeGreaterThan(1900)
  })

  it.each(sample.map((c) => [c.name, c] as const))('%s', async (name, backendCase) => {
    const runner = new CaseRunner(backendCase, engine)
    const results = []
    for (const way of WAYS) results.push({ name, way, ...(await runner.run(way)) })
    const own = judge(results, expectations).failures.filter(
      (f) => f.startsWith(`${name} `) && !f.endsWith('no such case'),
    )
    expect(own).toEqual([])
    expect(results.length).toBe(WAYS.length)
  })
})

describe('judge', () => {
  const result = (name: string, status: 'passed' | 'failed' | 'skipped') => ({
    name,
    way: 'shapes' as const,
    status,
    reason: 'x',
  })
  const expected = (name: string) => ({ name, way: 'shapes' as const, reason: 'known' })

  it('counts what is expected apart from what is not', () => {
    const verdict = judge([result('a', 'passed'), result('b', 'failed'), result('c', 'skipped')], [expected('b')])
    expect(verdict).toEqual({ passed: 1, skipped: 1, expected: 1, failures: [] })
  })

  it('fails what nobody expects, what passes against expectation, and names that meet no case', () => {
    const { failures } = judge([result('a', 'failed'), result('b', 'passed')], [expected('b'), expected('z')])
    expect(failures).toEqual([
      'a shapes: x',
      'b shapes: passed, but is expected to fail: known',
      'z shapes: expected to fail, but no such case',
    ])
  })
})

describe('runCases', () => {
  it('fails the way on which a process dies, and goes on with the next', async () => {
    const results: Result[] = []
    const worker = new URL('./dying-worker.mjs', import.meta.url)
    await runCases(['good', 'bad', 'last'], 2, (result) => results.push(result), worker)
    expect(results.map((r) => `${r.name} ${r.way}`).sort()).toEqual(
      ['good', 'bad', 'last'].flatMap((name) => WAYS.map((way) => `${name} ${way}`)).sort(),
    )
    const failures = results.filter((r) => r.status !== 'passed')
    expect(failures).toEqual([{ name: 'bad', way: 'load', status: 'failed', reason: 'the process ended with SIGABRT' }])
  })
})
