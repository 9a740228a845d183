import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cmsisNn, type ExportContext, qdq } from '@fewbit/core/exporters'
import { type Model, parseModel } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { inferShapes } from '@fewbit/core/passes'
import { type QuantParams, quantize } from '@fewbit/core/quant'
import { findTarget } from '@fewbit/core/targets'
import { rng } from '@fewbit/core/util'
import { fixture, memoryData, randomFeeds } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { Header, runHeader } from './cmsis-nn-reference.ts'
import { smallNetwork } from './contexts.ts'
import { bytesOf, measuredPlan, modelOf, runAll } from './measured-plan.ts'

async function prepared(model: Model) {
  inferShapes(model, { ops: defaultOps })
  const feeds = [1, 2, 3].map((seed) => randomFeeds(model, seed, { N: 1 }))
  return { cx: await measuredPlan('net', model, findTarget('cmsis-nn'), memoryData(feeds)), feeds }
}

const headerOf = (cx: ExportContext): string => new TextDecoder().decode(bytesOf(cmsisNn, cx))

const paramsOf = (cx: ExportContext, value: string): QuantParams =>
  cx.params.get(cx.plan.tensors.find((t) => t.value === value)?.group as string) as QuantParams

/** NCHW to NHWC for one image. */
function lastChannels(x: ArrayLike<number>, [, c = 1, h = 1, w = 1]: readonly number[]): number[] {
  return Array.from({ length: x.length }, (_, i) => x[(i % c) * h * w + Math.floor(i / c)] as number)
}

/** Random weights; every kind of layer that computes, a stride and uneven padding among them. */
function mixed(): Model {
  const random = rng(3)
  const list = (count: number) => Array.from({ length: count }, () => (0.3 * random.normal()).toFixed(3)).join(', ')
  return parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[1,3,11,9] x) => (float32[1,12] y)
    <float32[8,3,3,3] w1 = {${list(216)}}, float32[8] b1 = {${list(8)}}, float32[8,1,3,3] w2 = {${list(72)}},
     float32[8] b2 = {${list(8)}}, float32[32,12] w3 = {${list(384)}}, float32[12] b3 = {${list(12)}}, int64[2] flat = {1, 32}> {
      c1 = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, w1, b1) r1 = Relu(c1)
      c2 = Conv<group = 8, pads = [1, 1, 1, 1]>(r1, w2, b2) s = Add(c2, r1) p = AveragePool<kernel_shape = [2, 2]>(s)
      m = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [0, 0, 0, 1]>(p) f = Reshape(m, flat) y = Gemm(f, w3, b3) }`)
}

const compiler = spawnSync('cc', ['--version']).status === 0 ? 'cc' : undefined

describe('cmsis-nn', () => {
  it.each([
    ['mixed network', mixed],
    ['residual', () => fixture('residual')],
  ] as const)('computes in fixed point what the simulation of a %s computes', async (_, build) => {
    const { cx, feeds } = await prepared(build())
    expect(cmsisNn.check(cx)).toEqual([])
    const text = headerOf(cx)
    const [output] = cx.model.graph.outputs
    const simulated = await runAll(modelOf(qdq, cx), feeds, { optimization: 'simulate' })
    const y = paramsOf(cx, output?.name ?? '')
    for (const [i, feed] of feeds.entries()) {
      const [[name, x] = []] = Object.entries(feed)
      const codes = quantize(x?.numbers() ?? [], paramsOf(cx, name ?? ''))
      const actual = runHeader(text, x?.dims.length === 4 ? lastChannels(codes, x.dims) : Array.from(codes))
      const [expected] = Object.values(simulated[i] ?? {})
      const wanted = quantize(expected?.numbers() ?? [], y)
      const ordered = expected?.dims.length === 4 ? lastChannels(wanted, expected.dims) : Array.from(wanted)
      const steps = Array.from(actual, (q, k) => Math.abs(q - (ordered[k] as number)))
      // Two roundings a layer where the simulation has one, and halves of pooled sums away from zero: single steps.
      expect(Math.max(...steps)).toBeLessThanOrEqual(2)
      expect(steps.reduce((sum, s) => sum + s, 0) / steps.length).toBeLessThan(0.5)
    }
  })

  it('says offsets, strides and grids as the functions take them', async () => {
    const { cx } = await prepared(smallNetwork())
    const header = new Header(headerOf(cx))
    const [x, y] = [paramsOf(cx, 'image'), paramsOf(cx, 'r1')]
    const conv = header.struct('net_0_params')
    expect([conv.input_offset, conv.output_offset, conv['stride.w']]).toEqual([
      -(x.zeroPoint[0] as number),
      y.zeroPoint[0],
      1,
    ])
    expect(conv['activation.min']).toBe(y.zeroPoint[0])
    expect(header.number('net_tensor_0_scale')).toBeCloseTo(x.scale[0] as number, 7)
    const [multiplier = [], shift = []] = ['multiplier', 'shift'].map((name) => header.array(`net_0_${name}`))
    const w = paramsOf(cx, 'w1').scale
    // 31 bits of scale(x) · scale(w) / scale(y).
    w.forEach((s, c) => {
      const factor = ((x.scale[0] as number) * s) / (y.scale[0] as number)
      expect((multiplier[c] as number) * 2 ** ((shift[c] as number) - 31)).toBeCloseTo(factor, 9)
      expect(multiplier[c]).toBeGreaterThanOrEqual(2 ** 30)
    })
  })

  it('refuses, naming nodes, what runs in float', async () => {
    const { cx } = await prepared(fixture('attention'))
    expect(new Set(cmsisNn.check(cx).map((d) => d.code))).toEqual(new Set(['EXPORT_OPERATOR']))
    expect(cmsisNn.check(cx).map((d) => d.at?.node)).toContain('LayerNormalization')
  })

  it.skipIf(!compiler)('is C (skipped without a compiler)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fewbit-'))
    try {
      for (const build of [smallNetwork, mixed, () => fixture('residual')]) {
        const { cx } = await prepared(build())
        writeFileSync(join(folder, 'net.h'), headerOf(cx))
        writeFileSync(join(folder, 'net.c'), '#include "net.h"\n')
        const types = fileURLToPath(new URL('.', import.meta.url))
        const flags = [
          '-std=c99',
          '-Wall',
          '-Wno-unused-variable',
          '-Wno-unused-const-variable',
          '-Werror',
          '-fsyntax-only',
          `-I${types}`,
        ]
        const { status, stderr } = spawnSync(compiler as string, [...flags, join(folder, 'net.c')], {
          encoding: 'utf8',
        })
        expect([status, stderr]).toEqual([0, ''])
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
