// Runs cases that the parent names, one at a time, and says what it is about to do: the engine may take the process with it.
import { nodeEngine } from '@fewbit/engine-node'
import type { Job, Report } from './shards.ts'
import { conformanceCases } from './suite.ts'
import { CaseRunner } from './ways.ts'

const engine = nodeEngine({ threads: 1 })
const cases = new Map(conformanceCases().map((c) => [c.name, c]))
const send = (report: Report): void => void process.send?.(report)

process.on('message', async ({ name, ways }: Job) => {
  const backendCase = cases.get(name)
  if (!backendCase) throw new Error(`there is no case ${name}`)
  const runner = new CaseRunner(backendCase, engine)
  for (const way of ways) {
    send({ kind: 'start', way })
    send({ kind: 'outcome', way, outcome: await runner.run(way) })
  }
  send({ kind: 'end' })
})

send({ kind: 'ready' })
