import { readFileSync } from 'node:fs'
import { type Engine, evaluateModel, type Feeds } from '@fewbit/core/engine'
import { assertValid, type Model, printModel, readModel, serializeModel } from '@fewbit/core/ir'
import { bytesSource, decodeModel, encodeToBytes } from '@fewbit/core/onnx'
import { defaultOps } from '@fewbit/core/ops'
import { convertOpset, inferShapesPass, optimizePasses, type Pass, runPasses } from '@fewbit/core/passes'
import { Diagnostics, FewbitError } from '@fewbit/core/util'
import { type BackendCase, bindInputs, checkShapes, randomFeeds, readCaseTensor } from '@fewbit/testkit'
import { outputsDifference, type Tolerance } from './compare.ts'

/** What a case is put through, in this order. */
export const WAYS = ['codec', 'shapes', 'load', 'optimize', 'fold', 'opset'] as const
export type Way = (typeof WAYS)[number]

export interface Outcome {
  readonly status: 'passed' | 'failed' | 'skipped'
  /** Why not passed. */
  readonly reason?: string
}

/** Highest opset that the converter is asked for here: the first one with blocked quantization. */
const TARGET_OPSET = 21
const OLDEST_OPSET = 7

/** The suite's own tolerance, between kernels of different makers. */
const MAKERS: Tolerance = { relative: 1e-3, absolute: 1e-5, ofPeak: 1e-4 }
const SAME: Tolerance = { relative: 0, absolute: 0 }
/** Rewrites reorder float32 sums and round folded weights once more; of the largest magnitude in the output. */
const REWRITTEN: Tolerance = { relative: 0, absolute: 0, ofPeak: 1e-5, ofPeakHalf: 2e-3 }

const passed: Outcome = { status: 'passed' }
const failed = (reason: string): Outcome => ({ status: 'failed', reason })
const skipped = (reason: string): Outcome => ({ status: 'skipped', reason })
const judged = (difference: string | undefined): Outcome => (difference ? failed(difference) : passed)

/** One data set as the engine runs the original file. */
interface Run {
  readonly feeds: Feeds
  readonly outputs: Feeds
}

/** Puts one case through each way, running the original file at most once. */
export class CaseRunner {
  readonly #case: BackendCase
  readonly #engine: Engine
  #original: Promise<Run[] | string> | undefined

  constructor(backendCase: BackendCase, engine: Engine) {
    this.#case = backendCase
    this.#engine = engine
  }

  async run(way: Way): Promise<Outcome> {
    try {
      return await this.#ways[way]()
    } catch (error) {
      return failed(messageOf(error))
    }
  }

  readonly #ways: Record<Way, () => Promise<Outcome>> = {
    codec: async () => judged(codecDifference(this.#bytes())),
    shapes: async () => this.#shapes(),
    load: () => this.#compared(SAME, async () => undefined),
    optimize: () => this.#compared(REWRITTEN, (model) => this.#optimize(model)),
    // With shapes, axes and bounds as constants, as networks have them, there is more to rewrite.
    fold: () =>
      this.#compared(REWRITTEN, async (model) => {
        for (const { inputs } of this.#case.dataSets.slice(0, 1)) bindInputs(model, inputs)
        await this.#optimize(model)
      }),
    opset: async () => {
      const opset = this.#model().opset()
      if (opset >= TARGET_OPSET) return skipped(`the model has opset ${TARGET_OPSET} or later`)
      if (opset < OLDEST_OPSET) return skipped(`the converter starts at opset ${OLDEST_OPSET}`)
      return this.#compared(REWRITTEN, (model) => this.#rewrite(model, [convertOpset(TARGET_OPSET)]))
    },
  }

  #bytes = (): Uint8Array => new Uint8Array(readFileSync(this.#case.modelPath))
  #model = (): Model => readModel(this.#bytes())

  #shapes(): Outcome {
    const checks = checkShapes(this.#case, { ops: defaultOps, bindInputs: true })
    if (checks.length === 0) return skipped('no output is a tensor')
    const bad = checks.filter((check) => check.verdict !== 'exact')
    if (bad.length === 0) return passed
    return failed(bad.map((c) => `${c.output} is ${c.verdict}: ${c.inferred}, expected ${c.expected}`).join('; '))
  }

  /** Runs what `change` makes of the model on the same feeds as the original file. */
  async #compared(tolerance: Tolerance, change: (model: Model) => Promise<void>): Promise<Outcome> {
    this.#original ??= this.#runOriginal()
    const runs = await this.#original
    if (typeof runs === 'string') return skipped(runs)
    const model = this.#model()
    await change(model)
    assertValid(model)
    const names = new Set(model.graph.inputs.map((value) => value.name))
    const feeds = runs.map((run) => Object.fromEntries(Object.entries(run.feeds).filter(([name]) => names.has(name))))
    const outputs = await this.#execute(serializeModel(model), feeds)
    const differences = runs.map((run, i) => outputsDifference(run.outputs, outputs[i] ?? {}, tolerance))
    return judged(differences.find((d) => d !== undefined))
  }

  #optimize = (model: Model): Promise<void> => this.#rewrite(model, [inferShapesPass, ...optimizePasses])

  async #rewrite(model: Model, passes: readonly Pass[]): Promise<void> {
    const evaluate = (constants: Model) => evaluateModel(this.#engine, constants)
    const cx = { ops: defaultOps, diagnostics: new Diagnostics(), trace: () => undefined, evaluate }
    const report = await runPasses(model, passes, cx, { check: true })
    if (!report.converged) throw new Error('the passes reach no fixed point')
  }

  /** The outputs of the file as it is, or why they are no oracle. */
  async #runOriginal(): Promise<Run[] | string> {
    let runs: Run[]
    try {
      const graph = this.#model().graph
      if ([...graph.inputs, ...graph.outputs].some((value) => value.type?.kind !== 'tensor')) {
        return 'an input or output is not a tensor'
      }
      const feeds = this.#case.dataSets.map((set) => this.#feeds(set.inputs))
      const outputs = await this.#execute(this.#bytes(), feeds)
      runs = feeds.map((feed, i) => ({ feeds: feed, outputs: outputs[i] as Feeds }))
    } catch (error) {
      return `the original does not run: ${firstLine(messageOf(error))}`
    }
    for (const [i, run] of runs.entries()) {
      const difference = this.#expectedDifference(i, run.outputs)
      if (difference) return `the original does not give the expected output: ${difference}`
    }
    return runs.length > 0 ? runs : 'the case has no data'
  }

  #feeds(files: readonly string[]): Feeds {
    const model = this.#model()
    if (files.length === 0) return randomFeeds(model, 1, {})
    const inputs = model.graph.inputs.filter((value) => !model.graph.initializers.has(value))
    return Object.fromEntries(files.map((file, i) => [inputs[i]?.name ?? '', readCaseTensor(file)]))
  }

  #expectedDifference(set: number, outputs: Feeds): string | undefined {
    const files = this.#case.dataSets[set]
    // Without stored inputs the expected output belongs to inputs that only the suite's own runner makes.
    if (!files || (files.inputs.length === 0 && this.#model().graph.inputs.length > 0)) return undefined
    const names = this.#model().graph.outputs.map((value) => value.name)
    const expected = Object.fromEntries(files.outputs.map((file, i) => [names[i] ?? '', readCaseTensor(file)]))
    return outputsDifference(expected, outputs, MAKERS)
  }

  /** The engine's own rewrites are off, so that ours are what is tested. */
  async #execute(bytes: Uint8Array, feeds: readonly Feeds[]): Promise<Feeds[]> {
    const session = await this.#engine.load(bytes, { optimization: 'none', threads: 1 })
    try {
      const outputs: Feeds[] = []
      for (const feed of feeds) outputs.push(await session.run(feed))
      return outputs
    } finally {
      await session.release()
    }
  }
}

/** Reading, writing and reading again must give the same bytes, and the same model in the text form. */
function codecDifference(bytes: Uint8Array): string | undefined {
  const once = encodeToBytes(decodeModel(bytesSource(bytes)))
  const twice = encodeToBytes(decodeModel(bytesSource(once)))
  if (Buffer.compare(once, twice) !== 0) return 'the second encoding differs from the first'
  const same = printModel(readModel(bytes)) === printModel(readModel(serializeModel(readModel(bytes))))
  return same ? undefined : 'the model read back differs from the model written'
}

const messageOf = (error: unknown): string =>
  error instanceof FewbitError ? error.message : String((error as Error)?.message ?? error)

const firstLine = (text: string): string => text.split('\n')[0] ?? ''
