import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { parseScheme } from '../../quant/index.ts'
import { findTarget } from '../../targets/index.ts'
import type { Data } from '../data.ts'
import { score } from '../evaluate.ts'
import { choicesOf } from '../qat/qat-options.ts'
import { Run, type RunOptions } from '../run.ts'
import { TRAINING_KEY, type TrainEvaluation } from '../train/index.ts'
import { type RunData, readRunData } from '../train/run-data.ts'
import { BENCH_ALGORITHMS, qatMethod } from './algorithms.ts'
import { type CellPlace, measureCell } from './cell.ts'
import { QAT_BENCH_RECIPE, type QatBenchRecipe } from './recipe.ts'
import type { QatBench, QatBenchMemory, QatCell } from './state.ts'
import { earlier, withSettings } from './table.ts'

export interface BenchQatOptions extends RunOptions {
  /** Labelled samples to train on; calibration takes some of them. */
  readonly data: Data
  /** Other ones, that float, trained and deployed networks are scored on. */
  readonly evaluation: TrainEvaluation
  /** Methods: `lsq`, `pact`, …; or fake-quantizers of activations and weights: `pact/lsq`. Default: those of the literature. */
  readonly algorithms?: readonly string[]
  readonly targets?: readonly string[]
  /** Default `w4a4`. */
  readonly schemes?: readonly string[]
  readonly recipe?: Partial<QatBenchRecipe>
  /** Refuses bits that a target has no kernels for. Otherwise its rules are taken at these bits, and the cell says so. */
  readonly strict?: boolean
  /** Finished cells are kept here, and not measured again. */
  readonly memory?: QatBenchMemory
  readonly onCell?: (cell: QatCell, bench: QatBench) => void
}

/** A float network that is made when its turn comes, such as one that has to be trained first. */
export interface BenchNetwork {
  /** All that it depends on. A table that was begun with another one is refused before anything is made. JSON. */
  readonly recipe: Readonly<Record<string, unknown>>
  make(): Promise<Model>
}

/** What MQBench compares (arXiv:2111.03759): the setting of papers, and rules of hardware. */
export const BENCH_TARGETS: readonly string[] = ['academic', 'tensorrt', 'snpe', 'tvm', 'fbgemm', 'ascend-acl']

/**
 * Trains each network with each method for each target by one recipe, converts what was trained, and scores the networks before and after
 * conversion: which methods of the literature survive the rules of hardware.
 * @param models by name.
 * @throws FewbitError BENCH_SETTINGS where the memory holds cells of another recipe, other data or networks; TARGET_UNKNOWN, SCHEME_UNKNOWN,
 *   FAKE_QUANTIZER_* before anything is measured; DATA_*; the signal's reason when aborted.
 */
export async function benchQat(
  models: Readonly<Record<string, Model | BenchNetwork>>,
  options: BenchQatOptions,
): Promise<QatBench> {
  const { schemes = ['w4a4'], targets = BENCH_TARGETS, algorithms = BENCH_ALGORITHMS } = options
  const bench = new Bench(options)
  bench.checkNames({ schemes, targets, algorithms })
  for (const [model, network] of Object.entries(models)) {
    const places = schemes.flatMap((scheme) =>
      algorithms.flatMap((algorithm) => targets.map((target) => ({ model, scheme, target, algorithm }))),
    )
    await bench.measure(model, network, places)
  }
  return bench.result
}

type Names = Readonly<Record<'schemes' | 'targets' | 'algorithms', readonly string[]>>

class Bench {
  readonly #options: BenchQatOptions
  readonly #recipe: QatBenchRecipe
  readonly #run: Run
  #state: QatBench | undefined

  constructor(options: BenchQatOptions) {
    this.#options = options
    this.#recipe = { ...QAT_BENCH_RECIPE, ...options.recipe }
    this.#run = new Run(options)
  }

  get result(): QatBench {
    return this.#state ?? withSettings(undefined, {})
  }

  /** A mistyped name is no result of a cell. */
  checkNames({ schemes, targets, algorithms }: Names): void {
    const { registries } = this.#run
    for (const name of targets) findTarget(name, registries.targets)
    for (const text of schemes) parseScheme(text)
    for (const text of algorithms) choicesOf(qatMethod(text), registries.fakeQuantizers)
  }

  async measure(name: string, given: Model | BenchNetwork, places: readonly CellPlace[]): Promise<void> {
    const { strict = false, evaluation, onCell } = this.#options
    const { metrics } = evaluation
    await this.#settle({
      ...{ recipe: this.#recipe, strict },
      ...('make' in given && { [`float ${name}`]: given.recipe }),
    })
    const network = 'make' in given ? await given.make() : given
    const data = await this.#dataOf(network)
    await this.#settle({
      [`data ${name}`]: data.data.toJSON(),
      [`evaluation ${name}`]: data.evaluation?.toJSON() ?? null,
      [`model ${name}`]: structuralHash(network),
    })
    await this.#scoreFloat(name, network, data)
    const all = { network, data, recipe: this.#recipe, strict, shared: this.#run.shared, ...(metrics && { metrics }) }
    for (const place of places) {
      if (this.result.cells.some((cell) => keyOf(cell) === keyOf(place))) continue
      const cell = await measureCell({ ...all, place })
      this.#state = { ...this.result, cells: [...this.result.cells, cell] }
      await this.#options.memory?.save(this.#state)
      onCell?.(cell, this.#state)
    }
  }

  /** Adds what cells depend on. @throws FewbitError BENCH_SETTINGS, BENCH_FORMAT */
  async #settle(settings: QatBench['settings']): Promise<void> {
    const { memory } = this.#options
    this.#state = withSettings(this.#state ?? (await earlier(memory)), settings, memory?.name)
  }

  #dataOf(network: Model): Promise<RunData> {
    const { data, evaluation } = this.#options
    return readRunData(network, { ...this.#run.shared, data, evaluation, seed: this.#recipe.seed }, this.#run)
  }

  /** Scores the float network, and tells how it was trained where it says so. */
  async #scoreFloat(name: string, network: Model, { evaluation }: RunData): Promise<void> {
    const { float, training, ...rest } = this.result
    if (float[name] || !evaluation) return
    const { metrics } = this.#options.evaluation
    const options = { ...this.#run.shared, data: evaluation.asDataset(), ...(metrics && { metrics }) }
    const scored = await score(network, options, this.#run)
    const course = network.metadata.get(TRAINING_KEY)
    const known = { ...training, ...(course !== undefined && { [name]: JSON.parse(course) }) }
    this.#state = {
      ...{ ...rest, float: { ...float, [name]: { ...scored.metrics } } },
      ...(Object.keys(known).length > 0 && { training: known }),
    }
  }
}

const keyOf = ({ model, scheme, target, algorithm }: CellPlace): string => [model, scheme, target, algorithm].join('\n')
