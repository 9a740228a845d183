import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { problem } from '../../util/index.ts'
import type { Data } from '../data.ts'
import { score } from '../evaluate.ts'
import { Run, type RunOptions } from '../run.ts'
import type { TrainEvaluation } from '../train/index.ts'
import { type RunData, readRunData } from '../train/run-data.ts'
import { BENCH_ALGORITHMS } from './algorithms.ts'
import { type CellPlace, measureCell } from './cell.ts'
import { QAT_BENCH_RECIPE, type QatBenchRecipe } from './recipe.ts'
import { benchSchema, type QatBench, type QatBenchMemory, type QatCell } from './state.ts'

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

/** What MQBench compares (arXiv:2111.03759): the setting of papers, and rules of hardware. */
export const BENCH_TARGETS: readonly string[] = ['academic', 'tensorrt', 'snpe', 'tvm', 'fbgemm', 'ascend-acl']

/**
 * Trains each network with each method for each target by one recipe, converts what was trained, and scores the networks before and after
 * conversion: which methods of the literature survive the rules of hardware.
 * @param models by name.
 * @throws FewbitError BENCH_SETTINGS where the memory holds cells of another recipe; DATA_*; the signal's reason when aborted.
 */
export async function benchQat(models: Readonly<Record<string, Model>>, options: BenchQatOptions): Promise<QatBench> {
  const { schemes = ['w4a4'], targets = BENCH_TARGETS, algorithms = BENCH_ALGORITHMS } = options
  const bench = new Bench(options)
  for (const [model, network] of Object.entries(models)) {
    const places = schemes.flatMap((scheme) =>
      algorithms.flatMap((algorithm) => targets.map((target) => ({ model, scheme, target, algorithm }))),
    )
    await bench.measure(network, places)
  }
  return bench.result
}

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
    return this.#state ?? empty({})
  }

  async measure(network: Model, places: readonly CellPlace[]): Promise<void> {
    const { data: source, evaluation, strict = false, memory, onCell } = this.#options
    const { metrics } = evaluation
    const data = await readRunData(
      network,
      { ...this.#run.shared, data: source, evaluation, seed: this.#recipe.seed },
      this.#run,
    )
    await this.#open(network, places[0]?.model ?? '', data)
    const all = { network, data, recipe: this.#recipe, strict, shared: this.#run.shared, ...(metrics && { metrics }) }
    for (const place of places) {
      if (this.result.cells.some((cell) => keyOf(cell) === keyOf(place))) continue
      const cell = await measureCell({ ...all, place })
      this.#state = { ...this.result, cells: [...this.result.cells, cell] }
      await memory?.save(this.#state)
      onCell?.(cell, this.#state)
    }
  }

  /** What is known, with the float network's scores. */
  async #open(network: Model, name: string, data: RunData): Promise<void> {
    const { strict = false, memory } = this.#options
    const settings = {
      ...this.#state?.settings,
      ...{ recipe: this.#recipe, strict, data: data.data.toJSON(), evaluation: data.evaluation?.toJSON() ?? null },
      [`model ${name}`]: structuralHash(network),
    }
    this.#state = this.#state ? { ...this.#state, settings } : await earlier(settings, memory)
    if (this.#state.float[name] || !data.evaluation) return
    const { metrics } = this.#options.evaluation
    const options = { ...this.#run.shared, data: data.evaluation.asDataset(), ...(metrics && { metrics }) }
    const scored = await score(network, options, this.#run)
    this.#state = { ...this.#state, float: { ...this.#state.float, [name]: { ...scored.metrics } } }
  }
}

const empty = (settings: QatBench['settings']): QatBench => ({
  ...{ format: 'fewbit-qat-bench', version: 1, settings, float: {}, cells: [] },
})

const keyOf = ({ model, scheme, target, algorithm }: CellPlace): string => [model, scheme, target, algorithm].join('\n')

/** @throws FewbitError BENCH_SETTINGS, BENCH_FORMAT */
async function earlier(settings: QatBench['settings'], memory: QatBenchMemory | undefined): Promise<QatBench> {
  const found = await memory?.load()
  if (!found || !memory) return empty(settings)
  const at = { file: memory.name }
  const parsed = benchSchema.safeParse(found)
  if (!parsed.success) {
    throw problem('BENCH_FORMAT', 'the file holds no table of this benchmark', { at, fix: 'name another file' })
  }
  const different = Object.keys(settings).filter((key) => {
    const known = parsed.data.settings[key]
    return known !== undefined && JSON.stringify(known) !== JSON.stringify(settings[key])
  })
  if (different.length === 0) return { ...parsed.data, settings: { ...parsed.data.settings, ...settings } }
  throw problem('BENCH_SETTINGS', `the table was begun with other settings: ${different.join(', ')}`, {
    at,
    fix: 'take the same ones to go on, or name another file',
  })
}
