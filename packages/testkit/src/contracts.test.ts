import { ALGORITHMS, type Algorithm } from '@fewbit/core/algorithms'
import { EXPORTERS, qdq } from '@fewbit/core/exporters'
import { type AnyFakeQuantizer, FAKE_QUANTIZERS } from '@fewbit/core/fake-quantizers'
import { minmax, OBSERVERS, type Observer } from '@fewbit/core/observers'
import { defaultOps, type OpDef } from '@fewbit/core/ops'
import { PASSES, type Pass } from '@fewbit/core/passes'
import { planQuantization, type TensorPlan } from '@fewbit/core/quant'
import { onnxruntime, TARGETS } from '@fewbit/core/targets'
import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
// PyTorch's gradients of all cases; `npm run bench:peers:gradients -- --golden` writes them anew.
import golden from './contracts/gradient-peers.json.golden?raw'
import {
  algorithmContract,
  type ContractCheck,
  exporterContract,
  fakeQuantizerContract,
  GRADIENT_CASES,
  gradientContract,
  observerContract,
  opContract,
  type PeerGradients,
  passContract,
  targetContract,
} from './index.ts'

const engine = nodeEngine({ threads: 1 })
const peers: PeerGradients = JSON.parse(golden)

describe('operators', () => {
  it.each([...defaultOps].map((def) => [`${def.domain}::${def.type}`, def] as const))('%s', async (_, def) => {
    for (const check of opContract(def)) await check.run()
  })
})

const DIFFERENTIABLE = [...defaultOps].filter((def) => def.grad && def.domain === '')

describe('gradients', () => {
  it.each(DIFFERENTIABLE.map((def) => [def.type, def] as const))('%s', async (_, def) => {
    for (const check of gradientContract(def, engine, peers)) await check.run()
  })
  it('are those of PyTorch in every case', () => {
    const cases = Object.values(GRADIENT_CASES).flat()
    expect(cases.filter(({ text }) => !peers[text])).toEqual([])
  })
  it('have no cases without a rule', () => {
    const known = DIFFERENTIABLE.map((def) => def.type)
    expect(Object.keys(GRADIENT_CASES).filter((type) => !known.includes(type))).toEqual([])
  })
})

describe.each(Object.entries<Observer<object>>(OBSERVERS))('observer %s', (name, observer) => {
  it('goes by its own name', () => expect(observer.name).toBe(name))
  it.each(observerContract(observer))('$name', ({ run }) => run())
})

describe.each(Object.entries<Algorithm>(ALGORITHMS))('algorithm %s', (name, algorithm) => {
  it('goes by its own name', () => expect(algorithm.name).toBe(name))
  it.each(algorithmContract(algorithm, engine))('$name', ({ run }) => run())
})

describe.each(Object.entries<AnyFakeQuantizer>(FAKE_QUANTIZERS))('fake-quantizer %s', (name, quantizer) => {
  it('goes by its own name', () => expect(quantizer.name).toBe(name))
  it.each(fakeQuantizerContract(quantizer, engine))('$name', ({ run }) => run())
})

describe.each(Object.entries(PASSES))('pass %s', (name, pass) => {
  it('goes by its own name', () => expect(pass.name).toBe(name))
  it.each(passContract(pass, engine))('$name', ({ run }) => run())
})

describe.each(Object.entries(TARGETS))('target %s', (name, target) => {
  it('goes by its own name', () => expect(target.name).toBe(name))
  it.each(targetContract(target, { exporters: EXPORTERS }))('$name', ({ run }) => run())
})

const SERVED = Object.values(TARGETS).flatMap((target) => target.exporters.map((name) => [name, target] as const))

describe.each(SERVED)('exporter %s for $name', (name, target) => {
  const exporter = EXPORTERS[name as keyof typeof EXPORTERS]
  it('goes by its own name', () => expect(exporter.name).toBe(name))
  it.each(exporterContract(exporter, target))('$name', ({ run }) => run())
})

describe('a contract catches', () => {
  const broken = async (checks: readonly ContractCheck[]): Promise<string[]> => {
    const caught: string[] = []
    for (const { name, run } of checks) {
      try {
        await run()
      } catch {
        caught.push(name)
      }
    }
    return caught
  }
  const relu = defaultOps.get('', 'Relu') as OpDef

  it('an operator that needs to know its input, or disagrees with itself', async () => {
    const names = (def: OpDef) => broken(opContract(def))
    const infer = () => {
      throw new TypeError('no shape')
    }
    expect(await names({ ...relu, infer })).toEqual(['infers nothing, without complaint, from nothing'])
    expect(await names({ ...relu, since: [14, 13] })).toContain('lists its versions in order')
    const roles = ['activation', 'weight'] as const
    expect(await names({ ...relu, quant: { roles } })).toEqual(['has quantization traits that fit its inputs'])
  })

  it('an observer with an absolute constant, and one that forgets zero', async () => {
    const names = (range: Observer['range']) => broken(observerContract({ ...minmax, range }))
    expect(await names((stats) => ({ lo: Math.min(stats.min, 0), hi: Math.max(stats.max, 0) }))).toEqual([])
    expect(await names((stats) => ({ lo: Math.min(stats.min, 0), hi: Math.max(stats.max, 0) + 1e-3 }))).toEqual([
      'covers constant, zero and single-element tensors exactly',
      'scales with the data',
    ])
    expect(await names((stats) => ({ lo: stats.min, hi: stats.max }))).toContain(
      'gives a finite range around zero for any data',
    )
  })

  it('a fake-quantizer that deploys another grid, has an idle option, or mixes channels', async () => {
    const { fixed } = FAKE_QUANTIZERS
    const names = (change: Partial<AnyFakeQuantizer>) => broken(fakeQuantizerContract({ ...fixed, ...change }, engine))
    const toParams: AnyFakeQuantizer['toParams'] = (...args) => {
      const params = fixed.toParams(...args)
      return { ...params, scale: params.scale.map((s) => s * 1.01) }
    }
    expect(await names({ toParams })).toEqual(['computes what is deployed'])
    const idle = { summary: 'nothing', default: 1 }
    expect(await names({ options: { ...fixed.options, idle } })).toEqual([
      'has options that take their defaults, and all do something',
    ])
    const init: AnyFakeQuantizer['init'] = (cx, options) => {
      const { params } = cx
      const first = { ...params, scale: params.scale.map(() => params.scale[0] ?? 1) }
      return fixed.init({ ...cx, params: first }, options)
    }
    expect(await names({ init })).toEqual(['quantizes each channel as it would a tensor'])
    expect(await names({ ops: [] })).toEqual(['calls operators that it lists, whose bodies can be read'])
  })

  it('a pass that lies, and one that changes the outputs', async () => {
    const names = (run: Pass['run']) => broken(passContract({ name: 'p', summary: '', run }, engine))
    expect(await names(() => ({ modified: true }))).toContain(
      'says truly whether it changed the model, leaves it sound, and comes to rest',
    )
    const dropRelu: Pass['run'] = (model) => {
      const found = [...model.graph.nodes].find((node) => node.opType === 'Relu')
      if (found) found.opType = 'Neg'
      return { modified: found !== undefined }
    }
    expect(await names(dropRelu)).toEqual(['keeps the outputs'])
  })

  it('a target of unknown operators, and one that moves codes through arithmetic', async () => {
    const names = (target: typeof onnxruntime) => broken(targetContract(target, { exporters: EXPORTERS }))
    const ops = { ...onnxruntime.ops, Convolution: { mode: 'integer' } as const }
    expect(await names({ ...onnxruntime, ops })).toEqual(['names operators that exist'])
    const moved = { ...onnxruntime.ops, Exp: { mode: 'pass', share: 'input0' } as const }
    expect(await names({ ...onnxruntime, ops: moved })).toEqual(['moves and accumulates only where operators do'])
    const forms = { ...onnxruntime, exporters: ['no-such-form'] }
    expect(await names(forms)).toEqual(['names exporters and passes that exist'])
  })

  it('plans that break their promises', async () => {
    type Change = (tensor: TensorPlan, i: number) => TensorPlan | undefined
    const names = (change: Change) => {
      const planner: typeof planQuantization = (...args) => {
        const plan = planQuantization(...args)
        return { ...plan, tensors: plan.tensors.flatMap((tensor, i) => change(tensor, i) ?? []) }
      }
      return broken(targetContract(onnxruntime, { exporters: EXPORTERS, planner }))
    }
    expect(await names((t) => t)).toEqual([])
    const wide = (t: TensorPlan): TensorPlan => ({ ...t, spec: { ...t.spec, bits: 16 } })
    expect(await names(wide)).toEqual(['quantizes with specs that its kernels take'])
    const oneGroup = (t: TensorPlan): TensorPlan => ({ ...t, group: 'all' })
    expect(await names(oneGroup)).toEqual(['partitions tensors into groups of one spec'])
    const weightless: Change = (t) => (t.role === 'weight' ? undefined : t)
    expect(await names(weightless)).toEqual(['partitions tensors into groups of one spec'])
    const strangers = (t: TensorPlan): TensorPlan => ({ ...t, readers: [...t.readers, 'nobody'] })
    expect(await names(strangers)).toEqual(['plans readers that read, and values that exist'])
  })

  it('an exporter that accepts anything, and one that loses an output', async () => {
    expect(await broken(exporterContract({ ...qdq, check: () => [] }, onnxruntime))).toEqual([
      'refuses a plan without parameters',
    ])
    const emit: typeof qdq.emit = (cx) => {
      const artifacts = qdq.emit(cx)
      for (const artifact of artifacts) if (artifact.kind === 'model') artifact.model.graph.outputs.pop()
      return artifacts
    }
    expect(await broken(exporterContract({ ...qdq, emit }, onnxruntime))).toEqual([
      'writes sound models with the interface of the original',
    ])
  })
})
