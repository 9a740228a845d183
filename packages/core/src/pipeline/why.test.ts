import { nodeEngine } from '@fewbit/engine-node'
import { fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, readModel, serializeModel } from '../ir/index.ts'
import { type Why, why } from './why.ts'

const engine = nodeEngine({ threads: 1 })

/** Node names are the values' names, so that tests can speak of them. */
function named(name: Parameters<typeof fixture>[0]): Model {
  const model = fixture(name)
  for (const node of model.graph.nodes) node.name = `node_${node.outputs[0]?.name}`
  return model
}

const ask = (model: Model, node: string, options = {}): Promise<Why> => why(model, node, { engine, ...options })

describe('why', () => {
  it('explains an integer node with what it reads and makes', async () => {
    const found = await ask(named('convolutional'), 'node_c', { smallLayers: 'integer' })
    expect(found.explanation?.node).toMatchObject({
      decision: 'integer',
      opType: 'Conv',
      reason: { code: 'INTEGER_KERNEL' },
    })
    expect(found.explanation?.inputs.map((t) => [t.plan.role, t.plan.spec.bits])).toEqual([
      ['activation', 8],
      ['weight', 8],
      ['bias', 32],
    ])
    expect(found.text).toContain('runs in integers: it sums products')
    expect(found.text).toContain('reads weight')
  })

  it('explains a node that rewriting removed through the trace', async () => {
    const found = await ask(named('convolutional'), 'node_n')
    expect(found.explanation).toBeUndefined()
    expect(found.text).toContain('gone before planning: rewriting the graph removed it')
    const fired = found.rewrites.filter((event) => event.kind === 'fired')
    expect(fired.length).toBeGreaterThan(0)
    for (const { pass, text } of fired) expect(found.text).toContain(`rewritten by ${pass}: ${text}`)
    expect(found.text).toMatch(/BatchNorm/i)
  })

  it('explains a node in float, with the rule that keeps it there', async () => {
    const small = await ask(named('convolutional'), 'node_c')
    expect(small.explanation?.node.reason.code).toBe('SMALL_HEAD')
    expect(small.text).toContain('stays in float: with 6 output channels')
    const chosen = await ask(named('convolutional'), 'node_y', { floatOps: ['Gemm'] })
    expect(chosen.text).toContain('Gemm is on the list of operators to keep in float [FLOAT_OP]')
    const overridden = await ask(named('residual'), 'node_c2', {
      overrides: [{ match: { name: /c2$/ }, scheme: 'float' }],
    })
    expect(overridden.text).toContain('the override name=/c2$/:float keeps it in float')
  })

  it('explains an absorbed activation by its host', async () => {
    const found = await ask(named('residual'), 'node_r1', { smallLayers: 'integer' })
    expect(found.explanation?.node).toMatchObject({ decision: 'fused' })
    expect(found.text).toContain(
      'absorbed: the quantizer behind it clips as it does, so that Conv "node_c1" absorbs it',
    )
  })

  it('suggests the nearest names for a node that does not exist', async () => {
    const error = await ask(named('residual'), 'node_c3').catch((e) => e)
    expect(error.code).toBe('NODE_UNKNOWN')
    expect(error.diagnostics[0].fix).toMatch(/^did you mean "node_c[12]" or "node_c[12]"/)
  })

  it('knows nodes that are nameless in the file by the names that reading gives them', async () => {
    const nameless = fixture('residual')
    for (const node of nameless.graph.nodes) node.name = ''
    const model = readModel(serializeModel(nameless))
    const error = await ask(model, 'x').catch((e) => e)
    const suggested = /"([^"]+)"/.exec(error.diagnostics[0].fix)?.[1] ?? ''
    expect((await ask(model, suggested)).explanation?.node.node).toBe(suggested)
  })
})
