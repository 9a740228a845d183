import {
  type Difference,
  type MatchedPair,
  matchCheckpoints,
  mergeDifferences,
  type Tolerance,
} from '../../analysis/index.ts'
import { type Dataset, modelInputs } from '../../engine/index.ts'
import { isQuantized } from '../../import/index.ts'
import { asTensor, cloneModel, type Model } from '../../ir/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { type Diagnostic, dtypeInfo, problem } from '../../util/index.ts'
import { DEFAULT_SAMPLES } from '../default-samples.ts'
import { loadOptionsFor } from '../execution.ts'
import { Run, type RunOptions } from '../run.ts'
import { type LayerDifference, locate, type Parting } from './locate.ts'
import {
  isSame,
  outputDifference,
  type Probe,
  pairOutputs,
  probesOf,
  type SampleDifference,
  worstOf,
} from './outputs.ts'
import { runSide, type Side } from './side.ts'

export interface CompareOptions extends RunOptions {
  readonly data: Dataset
  /** At most this many samples. Default 8. */
  readonly samples?: number
  /** What each node may differ by. Default: 1e-4 of the peak, one step in a thousandth of the codes, or, of a float and a quantized network, as much as its bits explain. */
  readonly tolerance?: Tolerance
  /** Look at every tensor, also where outputs agree or a node has been found. Default false. */
  readonly intermediate?: boolean
}

/** Where two networks part. JSON. */
export interface Comparison {
  readonly data: string
  readonly synthetic: boolean
  readonly samples: number
  /** `same`: outputs agree. `rounding`: they do not, but every node is within its bound. `parts`: one node is not. */
  readonly verdict: 'same' | 'rounding' | 'parts'
  readonly outputs: Difference
  readonly worst: SampleDifference
  /** The sample on which nodes were compared. */
  readonly sample?: string
  readonly parting?: Parting
  readonly layers: readonly LayerDifference[]
  readonly matched: { readonly byName: number; readonly byStructure: number }
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * The first node at which two networks part: the first that makes something else of the same tensors. Tensors are matched by name, and then by
 * what they are computed from.
 * @throws FewbitError COMPARE_INPUTS, COMPARE_OUTPUTS for networks that take or give other things; ENGINE_*, DATA_*.
 */
export async function compare(a: Model, b: Model, options: CompareOptions): Promise<Comparison> {
  const run = new Run(options)
  const { data, samples = DEFAULT_SAMPLES.compare, intermediate = false } = options
  const [reference, candidate] = [sideOf(a, run), sideOf(b, run)]
  requireSameInputs(a, b)
  const outputs = pairOutputs(reference.model, candidate.model)
  const probes = await probesOf(a, data, samples, options.signal)
  const feeds = probes.map((probe) => probe.feeds)
  const differences = await run.stage('compare outputs', async (progress) => {
    const r = await runSide(reference, feeds, (done) => progress(done, 2 * feeds.length, 'samples of the first model'))
    const c = await runSide(candidate, feeds, (done) =>
      progress(feeds.length + done, 2 * feeds.length, 'samples of the second model'),
    )
    progress(2 * feeds.length, 2 * feeds.length, `${feeds.length} samples`)
    return probes.map((probe, i) => outputDifference(outputs, probe, r[i] ?? {}, c[i] ?? {}))
  })
  const worst = worstOf(differences) as SampleDifference
  const pairs = matchCheckpoints(reference.model, candidate.model, run.ops)
  const tolerance = options.tolerance ?? expectedTolerance(a, b, run)
  const same = differences.every(isSame)
  const probe = probes.find(({ id }) => id === worst.sample) as Probe
  const found =
    same && !intermediate
      ? { layers: [] }
      : await run.stage('compare nodes', (progress) =>
          locate(reference, candidate, pairs, probe.feeds, {
            ops: run.ops,
            tolerance: () => tolerance,
            toTheEnd: intermediate,
            ...run.signal,
            compared: (done, total) => progress(done, total, `tensors of sample "${probe.id}"`),
          }),
        )
  const verdict = found.parting ? 'parts' : same ? 'same' : 'rounding'
  return {
    data: data.name,
    synthetic: data.synthetic ?? false,
    samples: probes.length,
    verdict,
    outputs: mergeDifferences(differences),
    worst,
    ...(found.layers.length > 0 && { sample: worst.sample }),
    ...found,
    matched: countMatches(pairs),
    diagnostics: run.diagnostics.list,
  }
}

const countMatches = (pairs: readonly MatchedPair[]) => {
  const byName = pairs.filter(({ by }) => by === 'name').length
  return { byName, byStructure: pairs.length - byName }
}

/** A network with all types known, as the engine at hand computes what its backend would. */
export function sideOf(given: Model, run: Run): Side {
  const model = cloneModel(given)
  inferShapes(model, { ops: run.ops })
  return { model, engine: run.engine, load: loadOptionsFor(model, run) }
}

/** @throws FewbitError COMPARE_INPUTS */
export function requireSameInputs(a: Model, b: Model): void {
  const names = (model: Model) => modelInputs(model).map((input) => input.name)
  const [ours, theirs] = [names(a), names(b)]
  const other = theirs.find((name) => !ours.includes(name)) ?? ours.find((name) => !theirs.includes(name))
  if (other === undefined) return
  throw problem(
    'COMPARE_INPUTS',
    `the models take ${ours.join(', ') || 'nothing'} and ${theirs.join(', ') || 'nothing'}`,
    {
      at: { value: other },
      fix: 'compare two forms of one network, with the same names of inputs',
    },
  )
}

/**
 * Least SQNR of one node's output where float and quantized network are held beside each other, in dB: rounding to b bits leaves 6 b dB and
 * more of a tensor that fills its range; of long-tailed ones, with weights rounded too, half of that is common. Below 2.25 b − 3 dB something
 * other than rounding is at work: 15 dB for 8 bits, 6 dB for 4.
 */
const explainedByBits = (bits: number): number => 2.25 * bits - 3

function expectedTolerance(a: Model, b: Model, run: Run): Tolerance {
  const [first, second] = [a, b].map((model) => isQuantized(model, run.ops))
  if (first === second) return {}
  return { sqnr: explainedByBits(leastBits(first ? a : b, run)) }
}

/** Of codes other than biases. */
function leastBits({ graph }: Model, { ops }: Run): number {
  const bits = [...graph.nodes].flatMap((node) => {
    const dtype = asTensor(node.inputs[0]?.type)?.dtype ?? node.inputs[0]?.constant?.dtype
    const isQuantizer = ops.of(node)?.quant.traits?.includes('quantizer')
    return isQuantizer && dtype !== undefined && dtype !== 'float32' && dtype !== 'int32' ? [dtypeInfo(dtype).bits] : []
  })
  return Math.min(8, ...bits)
}
