import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '@fewbit/core/engine'
import type { QuantPlan } from '@fewbit/core/quant'
import { findTarget } from '@fewbit/core/targets'
import type { Backend, Case, Values } from '../backend.ts'
import { compareOutputs, stepOf } from '../compare.ts'
import { runIntegers } from '../integers.ts'
import type { Row } from '../report.ts'
import { type RandomOptions, randomCase, runsKind } from './case.ts'
import { KINDS, type Kind } from './layers.ts'

/** Random layers of every kind that a backend runs in integers, each kind as one network and one run of the engine. */
export async function* measureRandom(
  backend: Backend,
  engine: Engine,
  options: RandomOptions & { readonly kinds: readonly string[] },
): AsyncGenerator<Row> {
  const { integers, kinds = KINDS.map(({ name }) => name) } = backend
  const target = findTarget(backend.target)
  if (!integers) return
  for (const kind of KINDS) {
    const asked = options.kinds.length === 0 || options.kinds.includes(kind.name)
    if (!asked || !kinds.includes(kind.name) || !runsKind(target, kind)) continue
    const cx = await randomCase(kind, target, engine, { ...options, ...(backend.kinds && { activations: ['Relu'] }) })
    if (isInteger(cx.plan)) yield await rowOf(backend, kind, cx, engine)
  }
}

const isInteger = ({ nodes }: QuantPlan): boolean => nodes.some(({ decision }) => decision === 'integer')

async function rowOf(backend: Backend, kind: Kind, cx: Case, engine: Engine): Promise<Row> {
  const { name, title, integers, causes, deviations } = backend
  const head = { backend: name, title, target: cx.target.name, network: `random ${kind.name}` }
  const layers = { samples: cx.samples.length, layers: cx.float.graph.outputs.length }
  const exact = deviations?.[kind.name] === undefined
  const folder = mkdtempSync(join(tmpdir(), `fewbit-${name}-`))
  try {
    const { outputs, version } = await backend.run(cx, folder)
    const own = await runIntegers(cx, engine, integers as NonNullable<typeof integers>)
    return { ...head, ...layers, exact, causes, version, integers: agreement(cx, own.outputs, outputs) }
  } catch (error) {
    return { ...head, ...layers, exact, failure: (error as Error).message.split('\n')[0] ?? '' }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function agreement(cx: Case, own: Values, got: Values) {
  return compareOutputs(own, got, (name) => stepOf(name, own.get(name) ?? [], cx.plan, cx.params).step)
}
