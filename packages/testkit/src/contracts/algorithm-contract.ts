import { ALGORITHMS, type Algorithm, checkedOptions } from '@fewbit/core/algorithms'
import type { Engine } from '@fewbit/core/engine'
import { asTensor, type Model } from '@fewbit/core/ir'
import { structuralHash } from '@fewbit/core/passes'
import { type QuantizeResult, quantize } from '@fewbit/core/pipeline'
import { type FixtureName, fixture } from '../fixtures.ts'
import { memoryData, normalData } from '../memory-data.ts'
import { type ContractCheck, demand, demandEqual } from './contract.ts'

/** Folded BatchNormalization, a residual sum, depthwise with bounded activations, and products of sequences. */
const NETWORKS: readonly FixtureName[] = ['convolutional', 'residual', 'squeeze-excite', 'attention']

/** Samples of normal data: enough for statistics of each channel, few enough to be quick. */
const SAMPLES = 8

/** What every algorithm promises, with its default options but for the number of steps, on small networks. */
export function algorithmContract(algorithm: Algorithm, engine: Engine): ContractCheck[] {
  const quantized: Quantized = (name) => quantizedBy(algorithm, name, engine)
  const results = new Map<FixtureName, Promise<QuantizeResult>>()
  /** The same result for every check that only looks at it. */
  const first: Quantized = (name) => {
    const result = results.get(name) ?? quantized(name)
    results.set(name, result)
    return result
  }
  return [
    { name: 'has options that take their own defaults', run: () => optionsHold(algorithm) },
    { name: 'does the same twice, and keeps inputs and outputs', run: () => repeats(first, quantized) },
    { name: 'gives a network whose outputs resemble those of float', run: () => resembles(first) },
  ]
}

type Quantized = (name: FixtureName) => Promise<QuantizeResult>

function optionsHold(algorithm: Algorithm): void {
  const defaults = checkedOptions(algorithm)
  demandEqual(checkedOptions(algorithm, defaults), defaults, 'options')
  for (const [name, { summary }] of Object.entries(algorithm.options as object)) {
    demand(typeof summary === 'string' && summary.length > 0, () => `option "${name}" has no summary`)
  }
  demand(algorithm.summary.length > 0 && algorithm.source.length > 0, () => 'there is no summary or no source')
}

async function repeats(once: Quantized, again: Quantized): Promise<void> {
  for (const name of NETWORKS) {
    const before = fixture(name)
    const [first, second] = [await once(name), await again(name)]
    demandEqual(structuralHash(second.model), structuralHash(first.model), `${name}: digest of the second run`)
    demandEqual(interfaceOf(first.model), interfaceOf(before), `${name}: inputs and outputs`)
  }
}

/**
 * Eight bits keep 20 dB on these networks with and without any algorithm; one that destroys weights or scales falls to nothing.
 * Rewrites that have to preserve the function must not be taken back.
 */
const LEAST_SQNR = 10

async function resembles(quantized: Quantized): Promise<void> {
  for (const name of NETWORKS) {
    const { report } = await quantized(name)
    const [record] = report.algorithms
    const preserved = record !== undefined && (record.stage !== 'float' || record.undone === undefined)
    demand(preserved, () => `${name}: outputs moved by ${record?.deviation}`)
    const { sqnr = Number.NaN } = report.fidelity.metrics
    demand(sqnr >= LEAST_SQNR, () => `${name}: SQNR of the outputs is ${sqnr} dB`)
  }
}

/** By the target without a backend of its own, with one observer and no search, so that only the algorithm differs. */
function quantizedBy(algorithm: Algorithm, name: FixtureName, engine: Engine): Promise<QuantizeResult> {
  const isBuiltIn = Object.hasOwn(ALGORITHMS, algorithm.name)
  const model = fixture(name)
  const [input] = model.graph.inputs
  const dims = (asTensor(input?.type)?.shape ?? []).map((dim) => (typeof dim === 'number' ? dim : 1))
  return quantize(model, {
    engine,
    target: 'academic',
    calibration: { data: memoryData(normalData({ x: dims }, SAMPLES)), observer: 'minmax' },
    algorithms: [{ name: algorithm.name, options: quick(algorithm) }],
    extensions: isBuiltIn ? [] : [{ name: 'under-contract', algorithms: [algorithm] }],
  })
}

/** Few steps for what goes step by step: the contract holds after any number of them. */
const quick = ({ options }: Algorithm) => ('iterations' in options ? { iterations: 30 } : {})

const interfaceOf = ({ graph }: Model): object => [graph.inputs, graph.outputs].map((list) => list.map((v) => v.name))
