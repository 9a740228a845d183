import { nodeEngine } from '@fewbit/engine-node'
import { fixture } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, parseModel, readModel, serializeModel } from '../ir/index.ts'
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

  it('explains a quantized model by what the file says, with its scales', async () => {
    const file =
      parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[1,2] x) => (float[1,2] y) <float[] s = {0.5}, uint8[] z = {3},
      int8[2,2] w = {1, 2, 3, 4}, float[2] ws = {0.25, 1}> { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
      v = DequantizeLinear(w, ws) [mm] y = MatMul(d, v) }`)
    const { text, explanation } = await ask(file, 'mm', { target: 'onnxruntime' })
    expect(explanation?.node).toMatchObject({ decision: 'integer', reason: { code: 'IMPORTED' } })
    expect(text).toContain('reads activation "x": uint8 affine per-tensor, parameters of the file')
    expect(text).toContain('scale 0.500000, zero point 3')
    expect(text).toContain('2 scales from 0.250000 to 1.00000')
    await expect(ask(file, 'mm', { scheme: 'w4a8' })).rejects.toThrow(/OPTION_INVALID/)
    await expect(ask(file, 'ma')).rejects.toThrow(/NODE_UNKNOWN[\s\S]*"mm"/)
  })
})
