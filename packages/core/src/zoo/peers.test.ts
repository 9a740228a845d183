// The zoo against PyTorch, torchvision and timm: bench/peers/zoo.py measured their networks with weights and an input that a formula makes.
import { readFileSync } from 'node:fs'
import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { type Model, Tensor } from '../ir/index.ts'
import { defaultOps, nodeMacs, weightAxis } from '../ops/index.ts'
import { inferShapes } from '../passes/index.ts'
import { encodeUtf8, must } from '../util/index.ts'
import { loadWeights } from '../weights/index.ts'
import { buildZooModel, ZOO, type ZooName } from './index.ts'

interface Peer {
  readonly parameters: number
  readonly macs: number
  /** Of all logits, by magnitude. */
  readonly largest: number
  /** The first ten. */
  readonly logits: readonly number[]
}

const file = new URL('zoo-peers.json.golden', import.meta.url)
const peers: Record<ZooName, Peer> = JSON.parse(readFileSync(file, 'utf8')).networks
const names = Object.keys(ZOO) as ZooName[]
const engine = nodeEngine()

/** Of the largest logit. Rounding of float32 through 50 layers stays below; another epsilon, padding or activation does not. */
const TOLERANCE = 1e-4

const PERIOD = 65537

/**
 * The same numbers as in zoo.py: u in [0, 1) is FNV-1a of the name, plus index times 2654435761, through the finalizer of MurmurHash3. They
 * repeat after a prime number, so that 25 million weights are made in no time.
 */
function numbers(name: string, dims: readonly number[], value: (u: number) => number): Tensor {
  let seed = 0x811c9dc5
  for (const byte of encodeUtf8(name)) seed = Math.imul(seed ^ byte, 0x01000193)
  const values = new Float32Array(product(dims))
  const first = Math.min(values.length, PERIOD)
  for (let i = 0; i < first; i++) {
    let x = Math.imul(i, 2654435761) + seed
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
    values[i] = value(((x ^ (x >>> 16)) >>> 0) / 2 ** 32)
  }
  for (let at = PERIOD; at < values.length; at += PERIOD) values.copyWithin(at, 0, Math.min(PERIOD, values.length - at))
  return Tensor.float32(dims, values)
}

const product = (sizes: readonly number[]) => sizes.reduce((n, d) => n * d, 1)

function formula(name: string, dims: readonly number[]): Tensor {
  if (name.endsWith('running_var')) return numbers(name, dims, (u) => 0.5 + u)
  if (!name.endsWith('.weight')) return numbers(name, dims, (u) => 0.2 * (u - 0.5))
  if (dims.length === 1) return numbers(name, dims, (u) => 0.8 + 0.4 * u)
  const bound = Math.sqrt(6 / product(dims.slice(1)))
  return numbers(name, dims, (u) => (2 * u - 1) * bound)
}

/** A state_dict of the model, with the formula's numbers: matrices have output channels first, as PyTorch has them. */
function stateDict(model: Model): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>()
  for (const value of model.graph.initializers) {
    const { dtype, dims } = must(value.constant, 'tensor')
    if (dtype !== 'float32' || dims.length === 0) continue
    const turned = dims.length === 2 && value.uses().some(({ node }) => weightAxis(node, 2, model, defaultOps) === 1)
    tensors.set(value.name, formula(value.name, turned ? dims.toReversed() : dims))
  }
  return tensors
}

describe.each(names)('%s', (name) => {
  const entry = ZOO[name]
  const peer = peers[name]
  const model = buildZooModel(name, { batch: 1 })

  it('has the parameters and multiply-accumulates of its peer', () => {
    const trained = [...model.graph.initializers].filter(({ constant, name }) => {
      return constant?.dtype === 'float32' && constant.dims.length > 0 && !/\.running_(mean|var)$/.test(name)
    })
    const parameters = trained.reduce((sum, { constant }) => sum + must(constant, 'tensor').size, 0)
    inferShapes(model, { ops: defaultOps, trustDeclared: false })
    const counted = [...model.graph.nodes].filter((node) => defaultOps.of(node)?.macs)
    const macs = counted.reduce((sum, node) => sum + (nodeMacs(node, model, defaultOps) ?? Number.NaN), 0)
    expect({ parameters, macs }).toEqual({ parameters: peer.parameters, macs: peer.macs })
    expect({ parameters: entry.parameters, macs: entry.macs }).toEqual({ parameters, macs })
  })

  it('computes what its peer computes with the same weights', async () => {
    const loaded = loadWeights(model, stateDict(model))
    expect(loaded.report).toMatchObject({ missing: [], mismatched: [], unused: [] })
    const session = await engine.load(loaded.model)
    const { logits } = await session.run({ input: numbers('input', [1, ...entry.input], (u) => 2 * u - 1) })
    await session.release()
    const values = must(logits, 'logits').numbers()
    expect(values.length).toBe(entry.classes)
    const errors = peer.logits.map((expected, i) => Math.abs((values[i] as number) - expected) / peer.largest)
    expect(Math.max(...errors)).toBeLessThan(TOLERANCE)
  })
})
