import { nodeEngine, traceKernels } from '@fewbit/engine-node'
import { memoryData, plantedInputs, plantedNetwork } from '@fewbit/testkit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Engine } from '../../engine/index.ts'
import { problem } from '../../util/index.ts'
import { floatIslands, type KernelTime, kernelKind, summarizeKernels } from './kernels.ts'
import { originOf, slowReasons } from './reasons.ts'
import { speed } from './speed.ts'
import { timeInTurn } from './timing.ts'

const kernel = (opType: string, reads: string, makes: string, microseconds = 100, name = opType): KernelTime => ({
  name,
  opType,
  provider: 'CPUExecutionProvider',
  seconds: microseconds / 1e6,
  reads: reads.split(','),
  makes: [makes],
})

/** As ONNX Runtime runs them. */
const NETWORK = [
  kernel('QuantizeLinear', 'float,float,uint8', 'uint8'),
  kernel('QLinearConv', 'uint8,float,uint8', 'uint8', 400, 'conv1_token_3'),
  kernel('MaxPool', 'uint8', 'uint8'),
  kernel('DequantizeLinear', 'uint8,float,uint8', 'float'),
  kernel('Softmax', 'float', 'float'),
  kernel('ReorderInput', 'float', 'float'),
  kernel('Conv', 'float,float', 'float'),
  kernel('QuantizeLinear', 'float,float,uint8', 'uint8'),
  kernel('QGemm', 'uint8,float,uint8', 'float'),
  kernel('Sigmoid', 'float', 'float'),
]

describe('kernels', () => {
  it('are told apart by what they read and make', () => {
    expect(NETWORK.map(kernelKind)).toEqual([
      ...['converts', 'integer', 'moves', 'converts', 'float', 'converts', 'float', 'converts', 'integer', 'float'],
    ])
    expect(kernelKind(kernel('MatMulNBits', 'float,uint8', 'float'))).toBe('integer')
    expect(kernelKind(kernel('Gather', 'int64,int64', 'int64'))).toBe('other')
  })

  it('make islands where real values are between codes, layouts aside', () => {
    expect(floatIslands(NETWORK).map(({ kernels }) => kernels)).toEqual([['Softmax', 'Conv'], ['Sigmoid']])
    const { shares, integer } = summarizeKernels(NETWORK)
    expect(integer).toHaveLength(2)
    expect(Object.values(shares).reduce((a, b) => a + b, 0)).toBeCloseTo(1)
    expect(shares.integer).toBeCloseTo(500 / 1300)
  })
})

describe('reasons', () => {
  const float = [kernel('Conv', 'float,float', 'float', 100, 'conv1_nchwc')]

  it('are given only where the quantized network is not faster', () => {
    expect(slowReasons(0.5, 'onnxruntime-node', { float, quantized: NETWORK })).toEqual([])
    expect(slowReasons(1.2, 'onnxruntime-webgpu-chromium', undefined)).toEqual([
      expect.stringMatching(/no integer kernels/),
    ])
    expect(slowReasons(1.2, 'onnxruntime-web', undefined)).toEqual([expect.stringMatching(/node-cpu/)])
  })

  it('name what takes the time', () => {
    expect(slowReasons(1.2, 'onnxruntime-node', { float, quantized: NETWORK })).toEqual([
      expect.stringMatching(/^23 % of the time is in kernels that are left in float \(Softmax, Conv, Sigmoid\)/),
      expect.stringMatching(/^31 % of the time is in 4 conversions/),
      expect.stringMatching(/^1 integer kernels are slower than the float ones: conv1 400 µs instead of 100 µs/),
    ])
    const signed = [kernel('QLinearConv', 'int8,float,int8', 'int8', 5)]
    expect(slowReasons(1.2, 'onnxruntime-node', { float: [], quantized: signed })).toEqual([
      expect.stringMatching(/signed activations/),
      expect.stringMatching(/^1 of 1 integer kernels take less than 20.0 µs/),
    ])
    const pools = [kernel('QLinearConv', 'uint8,float', 'uint8', 50), kernel('MaxPool', 'uint8', 'uint8', 50)]
    expect(slowReasons(1, 'onnxruntime-node', { float: [], quantized: pools })).toEqual([
      expect.stringMatching(/^50 % .* hand codes on \(MaxPool\)/),
    ])
  })

  it('see through the names that rewrites give', () => {
    expect(['a_nchwc', 'b_token_12', 'c', 'conv_token_ids'].map(originOf)).toEqual(['a', 'b', 'c', 'conv_token_ids'])
  })
})

describe('timing', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
  afterEach(() => void vi.useRealTimers())

  it('takes models in turn with one session alive, and the middle of all runs', async () => {
    const log: string[] = []
    let alive = 0
    const engine = {
      load: async (model: { graph: { name: string } }) => {
        log.push(model.graph.name)
        expect(++alive).toBe(1)
        const run = async () => void vi.advanceTimersByTime(model.graph.name === 'slow' ? 8 : 2)
        return { run, release: async () => void alive-- }
      },
    } as unknown as Engine
    const models = ['fast', 'slow'].map((name) => ({ model: { graph: { name } }, load: {} })) as never
    const [fast, slow] = await timeInTurn(models, {}, engine, { rounds: 2, budget: 0.02 })
    expect(log).toEqual(['fast', 'slow', 'fast', 'slow'])
    expect(slow!.median).toBeCloseTo(0.008, 9)
    // Five runs in each of two rounds at least, and as many as the budget has room for.
    expect([fast!.runs, slow!.runs]).toEqual([20, 10])
    expect([fast!.low, fast!.median, fast!.high]).toEqual([0.002, 0.002, 0.002].map((s) => expect.closeTo(s, 9)))
  })
})

describe('speed', () => {
  const engine = nodeEngine({ threads: 1 })
  const lacking: Engine = {
    ...engine,
    load: async () => {
      throw problem('ENGINE_LOAD', 'no kernel')
    },
  }

  it('times each engine, knows its integer kernels, and goes on behind one that does not run', async () => {
    const result = await speed(plantedNetwork('float'), plantedNetwork('quantized'), {
      engine,
      engines: [
        { name: 'lacking', engine: lacking },
        { name: 'node', engine, trace: (model, feeds, load) => traceKernels(engine, model, feeds, load) },
      ],
      data: memoryData(plantedInputs(1)),
      rounds: 1,
      budget: 0.01,
    })
    const [first, second] = result.engines
    expect(first).toMatchObject({ name: 'lacking', failure: 'no kernel' })
    expect(second?.ratio).toBeCloseTo(second!.quantized!.median / second!.float!.median)
    const nodes = second?.kernels?.integer.map(({ name }) => originOf(name))
    expect(nodes).toEqual(['conv2', 'conv3', 'add', 'pool'])
    // A Clip below the highest code is no part of the integer kernel, and the Gemm reads a Flatten that has no quantizers behind it.
    expect(second?.kernels?.islands.map(({ kernels }) => kernels.map(originOf))).toEqual([['conv1'], ['flatten', 'fc']])
    await expect(
      speed(plantedNetwork('float'), plantedNetwork('quantized'), {
        engine,
        engines: [],
        data: memoryData(plantedInputs(1)),
      }),
    ).rejects.toThrow(/SPEED_ENGINES/)
  })
})
