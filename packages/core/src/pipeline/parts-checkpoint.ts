import { type ChosenAlgorithm, isResumable, type PartsKeeper } from '../algorithms/index.ts'
import type { Model } from '../ir/index.ts'
import { structuralHash } from '../passes/index.ts'
import type { ParamsTable, QuantPlan } from '../quant/index.ts'
import { checkSettings } from '../training/index.ts'
import { digest } from '../util/index.ts'
import { type CheckpointMemory, earlierCheckpoint } from './checkpoint-memory.ts'
import type { QuantizeSettings } from './options.ts'
import { type AlgorithmParts, decodeParts, encodeParts, type SavedParts } from './parts-file.ts'
import type { QuantizeOptions } from './quantize.ts'
import { plainSettings, versionsOf } from './recipe.ts'
import type { Run } from './run.ts'

type Facts = SavedParts['run']

/** What an algorithm is about to change. */
interface Stage {
  readonly model: Model
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

/**
 * The finished parts of a run's algorithms, in a checkpoint that is replaced with each of them. It belongs to one model, one set of
 * options, data and versions: what others would make is not what the run that was stopped would have made.
 */
export class PartsCheckpoint {
  readonly #memory: CheckpointMemory
  readonly #run: Facts
  readonly #mayDiffer: boolean
  readonly #kept = new Map<string, AlgorithmParts>()
  #data = ''
  #saved: SavedParts | undefined

  private constructor(memory: CheckpointMemory, run: Facts, mayDiffer: boolean, saved: SavedParts | undefined) {
    this.#memory = memory
    this.#run = run
    this.#mayDiffer = mayDiffer
    this.#saved = saved
    // What needs no calibration is compared before minutes of it.
    if (saved) this.#demandSame(saved.run, run)
  }

  /**
   * Undefined where the options name no place for a checkpoint, or no algorithm has parts to keep.
   * @throws FewbitError CHECKPOINT_EXISTS, CHECKPOINT_FORMAT; CHECKPOINT_OTHER naming what is not as it was.
   */
  static async open(
    model: Model,
    settings: QuantizeSettings,
    algorithms: readonly ChosenAlgorithm[],
    { checkpoint: memory, resume }: Pick<QuantizeOptions, 'checkpoint' | 'resume'>,
    run: Run,
  ): Promise<PartsCheckpoint | undefined> {
    const keeps = algorithms.some(({ algorithm }) => isResumable(algorithm))
    if (resume === true && !keeps) {
      run.diagnostics.info('CHECKPOINT_NONE', 'there is no checkpoint: no algorithm of this run keeps one')
    }
    if (!memory || !keeps) return undefined
    const mayDiffer = resume === 'if-same'
    const saved = mayDiffer ? await memory.load() : await earlierCheckpoint({ memory, resume }, run)
    const extensions = (run.options.extensions ?? []).map(({ name }) => name)
    const facts = { model: structuralHash(model), ...plainSettings(settings), extensions, ...versionsOf(run) }
    const plain = JSON.parse(JSON.stringify(facts))
    return new PartsCheckpoint(memory, plain, mayDiffer, saved && (mayDiffer ? readable(saved) : decodeParts(saved)))
  }

  /** @throws FewbitError CHECKPOINT_OTHER for data that are not those of the checkpoint. */
  setData(data: string): void {
    this.#data = data
    if (this.#saved) this.#demandSame({ data: this.#saved.data }, { data })
  }

  /**
   * The parts of an algorithm that is about to begin.
   * @throws FewbitError CHECKPOINT_OTHER where it begins with another network, because sums of the engine are not what they were.
   */
  keeperFor(algorithm: string, { model, plan, params }: Stage): PartsKeeper {
    const start = digest(JSON.stringify([structuralHash(model), plan, [...params]]))
    const what = `network before ${algorithm}`
    const known = this.#saved?.algorithms.get(algorithm)
    if (known) this.#demandSame({ [what]: known.start }, { [what]: start })
    const earlier = this.#saved ? (known?.parts ?? []) : []
    this.#kept.set(algorithm, { start, parts: earlier })
    return {
      earlier,
      keep: (part) => {
        const parts = this.#kept.get(algorithm)?.parts ?? []
        this.#kept.set(algorithm, { start, parts: [...parts, part] })
        return this.#memory.save(encodeParts({ run: this.#run, data: this.#data, algorithms: this.#kept }))
      },
    }
  }

  /** What was saved counts for nothing where it may differ, and does. */
  #demandSame(saved: Facts, now: Facts): void {
    try {
      checkSettings(saved, now)
    } catch (error) {
      if (!this.#mayDiffer) throw error
      this.#saved = undefined
    }
  }
}

function readable(saved: Uint8Array): SavedParts | undefined {
  try {
    return decodeParts(saved)
  } catch {
    return undefined
  }
}
