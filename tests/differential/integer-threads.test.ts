import type { Dataset, StartPool } from '@fewbit/core/engine'
import { fastKernels, type Kernels, plainKernels, pooledKernels, SCHEMES, type SchemeName } from '@fewbit/core/integer'
import { attribute } from '@fewbit/core/ir'
import { runIntegers } from '@fewbit/core/pipeline'
import { rng } from '@fewbit/core/util'
import { nodeEngine, startKernelPool } from '@fewbit/engine-node'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { type GridOf, LayerNet } from './one-layer.ts'

const small = (min: number, max: number) => fc.integer({ min, max })

const convCase = fc.record({
  dtype: fc.constantFrom<GridOf['dtype'][]>('uint8', 'int8', 'uint8', 'int8', 'uint16', 'int16'),
  batch: small(1, 3),
  group: small(1, 5),
  inputs: small(1, 4),
  outputs: small(1, 7),
  kernel: fc.tuple(small(1, 3), small(1, 4)),
  strides: fc.tuple(small(1, 2), small(1, 3)),
  dilations: fc.tuple(small(1, 2), small(1, 2)),
  pads: fc.array(small(0, 2), { minLength: 4, maxLength: 4 }),
  size: fc.tuple(small(7, 12), small(7, 12)),
  perChannel: fc.boolean(),
  ties: fc.boolean(),
  seed: fc.nat(),
})

type ConvCase = typeof convCase extends fc.Arbitrary<infer T> ? T : never

const codes = (dims: readonly number[], low: number, count: number, seed: number): number[] => {
  const r = rng(seed)
  return Array.from({ length: dims.reduce((n, d) => n * d, 1) }, () => low + r.int(count))
}

function gridsOf({ dtype, ties }: ConvCase): { readonly x: GridOf; readonly y: GridOf; readonly low: number } {
  const low = dtype.startsWith('u') ? 0 : dtype === 'int8' ? -128 : -32768
  const scale = ties ? 2 ** -4 : 0.0713
  return { x: { dtype, scale, zero: low + 100 }, y: { dtype, scale: ties ? 2 ** -1 : 0.61, zero: low + 77 }, low }
}

/** Shifts need powers of two. */
function scalesOf({ perChannel, ties }: ConvCase, channels: number): number[] {
  return Array.from({ length: perChannel ? channels : 1 }, (_, i) =>
    Math.fround(ties ? 2 ** -(5 + (i % 3)) : 0.01 + 0.003 * i),
  )
}

function convNet(c: ConvCase, opType: 'Conv' | 'ConvTranspose'): LayerNet {
  const { x, y, low } = gridsOf(c)
  const net = new LayerNet()
  const dims = [c.batch, c.group * c.inputs, ...c.size]
  const data = net.data(dims, codes(dims, low, x.dtype.endsWith('16') ? 65536 : 256, c.seed), x)
  const channels = c.group * c.outputs
  const shape = [...(opType === 'Conv' ? [channels, c.inputs] : [c.group * c.inputs, c.outputs]), ...c.kernel]
  const scales = scalesOf({ ...c, perChannel: c.perChannel && opType === 'Conv' }, channels)
  const w = net.constant('int8', shape, codes(shape, -128, 256, c.seed + 1), scales)
  const steps = scales.map((v) => Math.fround(v * x.scale))
  const bias = net.constant('int32', [channels], codes([channels], -2000, 4001, c.seed + 2), steps)
  const ints = (values: readonly number[]) => attribute.ints(values)
  const attributes = { strides: ints(c.strides), dilations: ints(c.dilations), group: attribute.int(c.group) }
  const pads = opType === 'Conv' ? { pads: ints(c.pads) } : {}
  return net.result(net.b.op(opType, [data, w, bias], { ...attributes, ...pads }), y)
}

function gemmNet(c: ConvCase): LayerNet {
  const { x, y, low } = gridsOf(c)
  const net = new LayerNet()
  const [m, k, n] = [c.batch * c.group, c.size[0] * c.inputs, c.outputs * c.size[1]]
  const data = net.data([m, k], codes([m, k], low, 256, c.seed), x)
  const w = net.constant('int8', [n, k], codes([n, k], -128, 256, c.seed + 1), scalesOf(c, n))
  return net.result(net.b.op('Gemm', [data, w], { transB: attribute.int(1) }), y)
}

function maxPoolNet(c: ConvCase): LayerNet {
  const { x, low } = gridsOf(c)
  const net = new LayerNet()
  const dims = [c.batch, c.group * c.inputs, c.size[0], c.size[1] + 2 * c.outputs]
  const data = net.data(dims, codes(dims, low, 256, c.seed), x)
  const pads = c.pads.map((pad, i) => Math.min(pad, (c.kernel[i % 2] as number) - 1))
  const windows = { strides: c.strides, dilations: c.dilations, kernel_shape: c.kernel, pads }
  const attributes = Object.fromEntries(Object.entries(windows).map(([name, list]) => [name, attribute.ints(list)]))
  return net.result(net.b.op('MaxPool', [data], attributes), x)
}

const KINDS = {
  MaxPool: maxPoolNet,
  Conv: (c: ConvCase) => convNet(c, 'Conv'),
  'depthwise Conv': (c: ConvCase) => convNet({ ...c, inputs: 1, outputs: 1, group: 3 * c.group }, 'Conv'),
  ConvTranspose: (c: ConvCase) => convNet(c, 'ConvTranspose'),
  Gemm: gemmNet,
}

const usesShifts = (name: SchemeName): boolean => name.startsWith('pot')

async function valuesOf(net: LayerNet, scheme: SchemeName, kernels: Kernels): Promise<number[] | string> {
  try {
    return await net.integerValues(SCHEMES[scheme], kernels)
  } catch (error) {
    // What an arithmetic has no kernel for, it has none for in any number of threads.
    return (error as Error).message
  }
}

/** Threads that tell what they ran. */
function watchedPool() {
  let [runs, releases] = [0, 0]
  const startPool: StartPool = (parts) => {
    const pool = startKernelPool(parts)
    return {
      threads: pool.threads,
      run(work) {
        pool.run(work)
        runs++
      },
      async release() {
        await pool.release()
        releases++
      },
    }
  }
  return { startPool, runs: () => runs, releases: () => releases }
}

describe('layers that sum products', () => {
  const single = fastKernels()
  const watched = watchedPool()
  const pooled = pooledKernels(watched.startPool, 3, 1)
  afterAll(() => pooled.close?.())

  it.each(Object.keys(SCHEMES) as SchemeName[])(
    'give the codes of plain loops in one thread and in three: %s',
    async (scheme) => {
      let compared = 0
      for (const [kind, netOf] of Object.entries(KINDS)) {
        const before = { compared, runs: watched.runs() }
        const property = fc.asyncProperty(convCase, async (given) => {
          const c = usesShifts(scheme) ? { ...given, ties: true } : given
          const want = await valuesOf(netOf(c), scheme, plainKernels)
          if (typeof want !== 'string') compared++
          expect({ [kind]: await valuesOf(netOf(c), scheme, single) }).toEqual({ [kind]: want })
          expect({ [kind]: await valuesOf(netOf(c), scheme, pooled) }).toEqual({ [kind]: want })
        })
        await fc.assert(property, { numRuns: 8, seed: 91 })
        if (compared > before.compared && kind !== 'MaxPool')
          expect({ [kind]: watched.runs() > before.runs }).toEqual({ [kind]: true })
      }
      expect(compared).toBeGreaterThan(10)
    },
  )
})

describe('a run that shares layers', () => {
  const windows: Pick<ConvCase, 'kernel' | 'strides' | 'dilations' | 'pads' | 'size'> = {
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    size: [64, 64],
  }
  const shape = { batch: 1, group: 1, inputs: 8, outputs: 16, perChannel: true, ties: false }
  const net = convNet({ dtype: 'uint8', ...shape, ...windows, seed: 5 }, 'Conv')
  const data: Dataset = {
    name: 'two samples',
    length: 2,
    async *samples() {
      for (const id of ['a', 'b']) yield { id, feeds: net.feeds }
    },
    toJSON: () => ({}),
  }
  const options = { data, scheme: 'ort' } as const

  it('gives the report of one thread, and ends its threads', async () => {
    const watched = watchedPool()
    const engine = { ...nodeEngine(), startPool: watched.startPool }
    const several = await runIntegers(net.model(), { ...options, engine, threads: 2 })
    expect([watched.runs(), watched.releases()]).toEqual([2, 1])
    const one = await runIntegers(net.model(), { ...options, engine, threads: 1 })
    expect({ ...several, secondsPerSample: 0 }).toEqual({ ...one, secondsPerSample: 0 })
    expect(one.outputs).toMatchObject([{ different: 0 }])
    expect(watched.runs()).toBe(2)
  })

  it('ends its threads when it is aborted', async () => {
    const watched = watchedPool()
    const engine = { ...nodeEngine(), startPool: watched.startPool }
    const { signal, abort } = abortable()
    const run = runIntegers(net.model(), { ...options, engine, threads: 2, onCodes: abort, signal })
    await expect(run).rejects.toThrow('enough')
    expect([watched.runs(), watched.releases()]).toEqual([1, 1])
  })
})

function abortable() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort(new Error('enough')) }
}
