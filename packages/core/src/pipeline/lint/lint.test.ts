import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Exporter } from '../../exporters/index.ts'
import { asTensor, type Model, parseModel, Tensor } from '../../ir/index.ts'
import type { OpRule, Target } from '../../quant/index.ts'
import { TARGETS } from '../../targets/index.ts'
import { exportModel } from '../export-model.ts'
import { quantize } from '../quantize.ts'
import { type Finding, lint } from './index.ts'

const engine = nodeEngine({ threads: 1 })
const INTEGER: OpRule = { mode: 'integer' }

/** Refuses tensors that are read by a Sigmoid. */
const picky: Exporter = {
  name: 'picky',
  summary: 'a table of few words',
  check: ({ plan }) => {
    const refused = plan.tensors.filter((t) => t.readers.some((r) => r.startsWith('sig'))).map((t) => t.value)
    const detail = { at: { value: refused[0] as string }, data: { tensors: refused }, fix: 'take another form' }
    return refused.length > 0 ? [{ code: 'EXPORT_HOLDS', level: 'error', message: 'no word for it', ...detail }] : []
  },
  emit: () => [],
}

const target: Target = {
  ...TARGETS.onnxruntime,
  name: 'bench',
  title: 'Bench',
  weights: { ...TARGETS.onnxruntime.weights, granularity: 'tensor' },
  ops: {
    Conv: { mode: 'integer', attrs: { auto_pad: ['NOTSET'] } },
    Add: INTEGER,
    Sigmoid: INTEGER,
    Relu: { mode: 'float', why: 'it has no kernel of its own' },
  },
  fuse: [{ name: 'ConvRelu', hosts: ['Conv'], chain: ['Relu'], clips: 'codes' }],
  exporters: ['picky'],
}
const extensions = [{ name: 'test', targets: [target], exporters: [picky] }]

/** A network in the text form. Inputs whose name is not `x` are parameters; `sizes` gives the magnitude of each output channel. */
function net(body: string, signature: string, sizes: readonly number[] = [1, 1, 1, 1]): Model {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> main ${signature} { ${body} }`)
  const { graph } = model
  for (const value of graph.inputs.filter((v) => v.name !== 'x')) {
    const dims = (asTensor(value.type)?.shape ?? []) as readonly number[]
    const count = dims.reduce((a, b) => a * b, 1)
    const inner = count / (dims[0] ?? 1)
    const sign = (i: number) => (i % 2 === 0 ? 1 : -1)
    value.constant = Tensor.float32(
      dims,
      Float32Array.from({ length: count }, (_, i) => sign(i) * (sizes[Math.floor(i / inner)] ?? 1)),
    )
    graph.initializers.add(value)
  }
  graph.inputs.splice(0, graph.inputs.length, ...graph.inputs.filter((v) => v.name === 'x'))
  for (const node of graph.nodes) node.name = node.outputs[0]?.name ?? ''
  return model
}

const X = 'float32[1,4,8,8] x, float32[4,4,1,1] w, float32[4,4,1,1] w2'
const Y = 'float32[1,4,8,8] y'

const lintOn = (model: Model) => lint(model, { engine, target: 'bench', extensions })
const found = (findings: readonly Finding[]) => findings.map((f) => [f.level, f.code, f.places.map((p) => p.name)])

describe('lint', () => {
  it('has nothing to say of a network that the backend runs as it stands', async () => {
    const result = await lintOn(net('c = Conv(x, w) r = Relu(c) y = Conv(r, w2)', `(${X}) => (${Y})`))
    expect(result.findings).toEqual([])
    expect(result).toMatchObject({ holds: true, plan: { nodes: { integer: 2, fused: 1, float: 0 }, integerShare: 1 } })
  })

  it('names the readers and outputs that keep a kernel from taking the next node', async () => {
    const branch = await lintOn(net('c = Conv(x, w) r = Relu(c) d = Conv(c, w2) y = Add(r, d)', `(${X}) => (${Y})`))
    const missed = branch.findings.filter((f) => f.code === 'LINT_NOT_FUSED')
    expect(found(missed)).toEqual([['warning', 'LINT_NOT_FUSED', ['r']]])
    expect(missed[0]?.message).toContain('what it reads is read by 2 nodes')
    expect(missed[0]?.places[0]?.detail).toBe('behind c')
    const output = await lintOn(net('c = Conv(x, w) y = Relu(c)', `(${X}) => (${Y}, float32[1,4,8,8] c)`))
    expect(output.findings.find((f) => f.code === 'LINT_NOT_FUSED')?.message).toContain(
      'an output of the network as well',
    )
  })

  it('groups nodes that stay in float by reason, with what helps', async () => {
    const model = net(
      `c = Conv<auto_pad = "SAME_UPPER">(x, w) s = Softplus(c) t = Softplus(s) k = Conv(x, w2) y = Add(t, k)`,
      `(${X}) => (${Y})`,
    )
    const { findings } = await lintOn(model)
    expect(found(findings.filter((f) => f.level === 'warning'))).toEqual([
      ['warning', 'ATTRIBUTE', ['c']],
      ['warning', 'NO_KERNEL', ['s', 't']],
    ])
    expect(findings[0]?.message).toContain('auto_pad = NOTSET only, and here it is SAME_UPPER')
    for (const finding of findings.filter((f) => f.level === 'warning')) expect(finding.fix).toBeTruthy()
  })

  it('says why a BatchNormalization could not be folded', async () => {
    const bn = 'float32[4] g, float32[4] b, float32[4] m, float32[4] v'
    const body = 'c = Conv(x, w) n = BatchNormalization(c, g, b, m, v) y = Add(n, c)'
    const { findings } = await lintOn(net(body, `(${X}, ${bn}) => (${Y})`))
    const rewrite = findings.find((f) => f.code === 'LINT_NOT_REWRITTEN')
    expect(rewrite?.message).toMatch(/^fold-batchnorm would remove it, but/)
    expect(rewrite?.places.map((p) => p.name)).toEqual(['n'])
  })

  it('measures how far channels under one scale lie apart; dead channels do not count', async () => {
    const spread = async (sizes: readonly number[]) => {
      const depthwise = 'float32[1,4,8,8] x, float32[4,1,3,3] w'
      const body = 'y = Conv<group = 4, kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)'
      const { findings } = await lintOn(net(body, `(${depthwise}) => (${Y})`, sizes))
      return findings.filter((f) => f.code === 'LINT_CHANNEL_SPREAD').map((f) => f.places[0]?.detail)
    }
    expect(await spread([1, 0.05, 2, 1])).toEqual(['depthwise Conv, 40 times'])
    expect(await spread([1, 0.2, 2, 1])).toEqual([])
    expect(await spread([1, 1e-9, 2, 0])).toEqual([])
  })

  it('tells what the backend cannot hold at all', async () => {
    const refused = await lintOn(net('c = Conv(x, w) sig = Sigmoid(c) y = Conv(sig, w2)', `(${X}) => (${Y})`))
    expect(refused.holds).toBe(false)
    expect(found(refused.findings)[0]).toEqual(['error', 'EXPORT_HOLDS', ['c']])
    expect(refused.findings[0]?.message).toBe('picky: no word for it')
    const nothing = await lintOn(net('y = Softplus(x)', `(${X}) => (${Y})`))
    expect(nothing.holds).toBe(false)
    expect(nothing.findings.map((f) => f.code)).toContain('PLAN_NOTHING')
  })

  it('reads quantized models: with their own ranges, and naming those that they lack', async () => {
    const data = memoryData(normalData({ x: [1, 4, 8, 8] }, 8))
    const calibration = { data, observer: 'minmax' }
    const { model } = await quantize(fixture('residual'), { engine, smallLayers: 'integer', calibration })
    const own = await lint(model, { engine })
    expect(own.target).toBe('onnxruntime')
    expect(own.findings.map((f) => f.code)).not.toContain('RETARGET_RANGE')
    // The same network for a backend that wants ranges that this file never needed: the weights-only form has none.
    const weights = await quantize(fixture('residual'), { engine, scheme: 'w8', calibration })
    const { holds, findings } = await lint(weights.model, { engine, target: 'tensorrt' })
    expect(holds).toBe(true)
    const missing = findings.find((f) => f.code === 'RETARGET_RANGE')
    expect(missing).toMatchObject({ level: 'warning', places: expect.arrayContaining([{ kind: 'value', name: 'x' }]) })
    await expect(exportModel(weights.model, { engine, target: 'tensorrt' })).rejects.toThrow(/RETARGET_RANGE/)
  })
})
