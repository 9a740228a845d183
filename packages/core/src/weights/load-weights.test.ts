import { describe, expect, it } from 'vitest'
import { attribute, GraphBuilder, Model, Tensor, tensorType } from '../ir/index.ts'
import { FewbitError, must } from '../util/index.ts'
import { loadWeights, renamer } from './index.ts'

/** Conv, a MatMul with input channels first, a Gemm with output channels first, and a Clip with scalar bounds. */
function network(): Model {
  const model = new Model()
  model.opsets.set('', 18)
  const b = new GraphBuilder(model.graph)
  const zeros = (name: string, dims: readonly number[]) =>
    b.constant(name, Tensor.float32(dims, new Float32Array(dims.reduce((n, d) => n * d, 1))))
  const x = b.input('x', tensorType('float32', ['N', 2]))
  const hidden = b.op('MatMul', [x, zeros('proj.weight', [2, 3])])
  const clipped = b.op('Clip', [hidden, zeros('low', []), zeros('high', [])])
  const gemm = [clipped, zeros('fc.weight', [4, 3]), zeros('fc.bias', [4])]
  b.output(b.op('Gemm', gemm, { transB: attribute.int(1) }))
  b.constant('shape', Tensor.int64([2], [1, 2]))
  return model
}

const ramp = (dims: readonly number[], dtype: 'float32' | 'float16' | 'bfloat16' = 'float32') => {
  const count = dims.reduce((n, d) => n * d, 1)
  return Tensor.fromNumbers(
    dtype,
    dims,
    Float32Array.from({ length: count }, (_, i) => i),
  )
}

const state = (): Map<string, Tensor> =>
  new Map([
    ['proj.weight', ramp([3, 2])],
    ['fc.weight', ramp([4, 3], 'bfloat16')],
    ['fc.bias', ramp([4], 'float16')],
  ])

const numbers = (model: Model, name: string) => {
  const value = [...model.graph.initializers].find((v) => v.name === name)
  return [...must(value?.constant, name).numbers()]
}

const failure = (act: () => unknown): FewbitError => {
  try {
    act()
  } catch (error) {
    if (error instanceof FewbitError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('loadWeights', () => {
  it('puts tensors in by name, converts them, and turns matrices that PyTorch has the other way round', () => {
    const before = network()
    const { model, report } = loadWeights(before, state())
    expect(numbers(model, 'proj.weight')).toEqual([0, 2, 4, 1, 3, 5])
    expect(numbers(model, 'fc.weight')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(numbers(model, 'fc.bias')).toEqual([0, 1, 2, 3])
    expect([...model.graph.initializers].every(({ constant }) => constant?.dtype !== 'bfloat16')).toBe(true)
    expect(report.loaded.map(({ name }) => name)).toEqual(['proj.weight', 'fc.weight', 'fc.bias'])
    expect(numbers(before, 'fc.bias')).toEqual([0, 0, 0, 0])
  })

  it('takes matrices as they lie where the file has the model’s layout', () => {
    const tensors = state().set('proj.weight', ramp([2, 3]))
    expect(numbers(loadWeights(network(), tensors, { layout: 'onnx' }).model, 'proj.weight')).toEqual([
      0, 1, 2, 3, 4, 5,
    ])
  })

  it('names what is missing with what is there instead, and what has another shape', () => {
    const tensors = state()
      .set('fc.bias', ramp([10]))
      .set('projj.weight', ramp([3, 2]))
    tensors.delete('proj.weight')
    const error = failure(() => loadWeights(network(), tensors))
    expect(error.message).toMatch(/WEIGHTS_INCOMPLETE {2}the file has 1 of the model's 3 parameters/)
    expect(error.message).toContain('fc.bias is [4], and in the file [10]')
    expect(error.message).toContain('proj.weight is not in the file, which has projj.weight')
  })

  it('leaves the rest as it was where a part is enough', () => {
    const tensors = state()
      .set('fc.bias', ramp([10]))
      .set('extra', ramp([1]))
    tensors.set('bn.num_batches_tracked', Tensor.int64([], [3]))
    const { model, report } = loadWeights(network(), tensors, { partial: true })
    expect(numbers(model, 'fc.bias')).toEqual([0, 0, 0, 0])
    expect(report.mismatched).toEqual([{ name: 'fc.bias', from: 'fc.bias', expected: [4], found: [10] }])
    expect(report.unused).toEqual(['extra'])
  })

  it('tells the prefix that every name of the file has, and loads with a map of it', () => {
    const tensors = new Map([...state()].map(([name, tensor]) => [`module.${name}`, tensor]))
    expect(failure(() => loadWeights(network(), tensors, { partial: true })).message).toContain(
      'the names of the file begin with "module.": map "module.*" to "*"',
    )
    const { report } = loadWeights(network(), tensors, { map: { 'module.*': '*' } })
    expect(report.loaded[0]).toEqual({ name: 'proj.weight', from: 'module.proj.weight' })
    expect(report.unused).toEqual([])
  })

  it('refuses a map that makes one name of two', () => {
    const error = failure(() => loadWeights(network(), state(), { map: { 'fc.*': 'same' } }))
    expect(error.message).toMatch(/WEIGHTS_TWICE {2}"fc.weight" and "fc.bias" both become "same"/)
  })

  it('does not take integers for weights', () => {
    const tensors = state().set('fc.bias', Tensor.fromNumbers('int8', [4], [1, 2, 3, 4]))
    expect(failure(() => loadWeights(network(), tensors)).message).toContain('fc.bias is not in the file')
  })
})

describe('renamer', () => {
  it.each([
    [{ 'linear.*': 'fc.*' }, 'linear.weight', 'fc.weight'],
    [{ 'linear.*': 'fc.*' }, 'other.weight', 'other.weight'],
    [{ 'a.*': 'first', 'a.b': 'second' }, 'a.b', 'first'],
    [{ '*.block.*.conv': '*.*.c' }, 'layer1.block.0.conv', 'layer1.0.c'],
    [{ 'x*': 'y' }, 'xyz', 'y'],
    [{ 'a.b': 'c' }, 'axb', 'axb'],
    [{ '*': 'net.*' }, 'fc.bias', 'net.fc.bias'],
  ])('%j makes of %s %s', (map, name, expected) => {
    expect(renamer(map as Record<string, string>)(name)).toBe(expected)
  })

  it('refuses a new name with more stars than the old one', () => {
    expect(() => renamer({ 'a.*': '*.*' })).toThrow(/WEIGHTS_MAP/)
  })
})
