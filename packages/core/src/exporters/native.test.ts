import { describe, expect, it } from 'vitest'
import { Graph, GraphBuilder, Model, Tensor, tensorType } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { planQuantization, resolveParams } from '../quant/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { Diagnostics, decodeUtf8, encodeUtf8, type FewbitError } from '../util/index.ts'
import { native } from './native.ts'
import { readQuantization } from './native-reader.ts'

// biome-ignore lint/suspicious/noExplicitAny: the tests break files field by field.
type Loose = Record<string, any>

function context() {
  const b = new GraphBuilder(new Graph('g'))
  const x = b.input('x', tensorType('float32', [2, 4]))
  const w = Tensor.float32(
    [4, 4],
    Float32Array.from({ length: 16 }, (_, i) => Math.sin(i)),
  )
  // A name that objects would put first, and one that they would swallow.
  const y = b.op('MatMul', [x, b.constant('__proto__', w)], {}, { output: '12' })
  b.output(b.op('MatMul', [b.op('Relu', [y]), b.constant('w2', w)]))
  const model = new Model(b.graph)
  model.opsets.set('', 17)
  inferShapes(model, { ops: defaultOps })
  const plan = planQuantization(model, onnxruntime, defaultOps)
  const ranges = new Map(plan.tensors.map((t, i) => [t.value, { lo: -1 / 3, hi: Math.PI * (i + 1) }]))
  const params = resolveParams(model, plan, { activations: ranges }, new Diagnostics())
  return { name: 'net', model, plan, params, target: onnxruntime }
}

function bytes(): Uint8Array {
  const file = native.emit(context()).find((a) => a.name === 'net.fewbit.json')
  return file?.kind === 'file' ? file.bytes : new Uint8Array()
}

describe('json', () => {
  it('is read back without loss', () => {
    const { plan, params } = context()
    const read = readQuantization(bytes())
    expect(read.plan).toEqual(plan)
    expect(new Map(read.params)).toEqual(params)
    expect(read.model).toBe('net.float.onnx')
  })

  it('keeps fields that this version does not know', () => {
    const file = JSON.parse(decodeUtf8(bytes()))
    file.plan.tensors[0].spec.dithering = 'blue'
    const { plan } = readQuantization(encodeUtf8(JSON.stringify(file)))
    expect(plan.tensors[0]?.spec).toMatchObject({ bits: 8, dithering: 'blue' })
  })

  const broken: [string, (file: Loose) => void, string][] = [
    ['another format', (f) => Object.assign(f, { format: 'ppq' }), 'format'],
    ['a later version', (f) => Object.assign(f, { version: 2 }), 'version'],
    ['a group without parameters', (f) => delete f.params.x, 'none for the group "x"'],
    ['a scale of zero', (f) => Object.assign(f.params.x, { scale: [0] }), 'params.x.scale'],
    ['more scales than zero points', (f) => f.params.x.scale.push(1), 'as many scales as zero points'],
    ['a tensor without spec', (f) => delete f.plan.tensors[0].spec, 'plan.tensors.0.spec'],
  ]

  it.each(broken)('refuses %s and says where', (_, change, where) => {
    const file = JSON.parse(decodeUtf8(bytes()))
    change(file)
    const error = thrownBy(encodeUtf8(JSON.stringify(file)))
    expect(error.code).toBe('NATIVE_FORMAT')
    expect(error.diagnostics[0]?.notes?.join('\n')).toContain(where)
  })

  it('refuses what is no JSON', () => {
    expect(thrownBy(encodeUtf8('record { }')).code).toBe('NATIVE_FORMAT')
  })
})

function thrownBy(file: Uint8Array): FewbitError {
  try {
    readQuantization(file)
  } catch (error) {
    return error as FewbitError
  }
  throw new Error('it was read')
}
