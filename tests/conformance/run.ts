// Runs the ONNX backend suite six ways (`ways.ts`). `--only <text>` takes cases whose name holds the text; `--skips` prints
// why cases were skipped.
import { parseArgs } from 'node:util'
import { judge, readExpectations, type Verdict } from './expectations.ts'
import { type Result, runCases } from './shards.ts'
import { conformanceCases, missingSuite } from './suite.ts'

const SHARDS = 2

const { values } = parseArgs({ options: { only: { type: 'string' }, skips: { type: 'boolean' } } })

function printSkips(results: readonly Result[]): void {
  const reasons = new Map<string, number>()
  for (const { status, way, reason } of results) {
    if (status === 'skipped') reasons.set(`${way}: ${reason}`, (reasons.get(`${way}: ${reason}`) ?? 0) + 1)
  }
  for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1])) console.log(`${count} × ${reason}`)
}

async function main(): Promise<Verdict> {
  const missing = missingSuite()
  if (missing) {
    console.log(`conformance skipped: ${missing}`)
    return { passed: 0, skipped: 1, expected: 0, failures: [] }
  }
  const names = conformanceCases().map((c) => c.name)
  const chosen = names.filter((name) => name.includes(values.only ?? ''))
  const results: Result[] = []
  await runCases(chosen, SHARDS, (result) => results.push(result))
  if (values.skips) printSkips(results)
  const expectations = readExpectations().filter(({ name }) => !values.only || chosen.includes(name))
  return judge(results, expectations)
}

const { passed, skipped, expected, failures } = await main()
for (const failure of failures) console.log(failure)
if (expected > 0) console.log(`${expected} of the skipped fail as expectations.json says`)
console.log(`${passed} passed, ${failures.length} failed, ${skipped + expected} skipped`)
process.exitCode = failures.length > 0 ? 1 : 0
