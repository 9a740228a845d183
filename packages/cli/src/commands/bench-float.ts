import { existsSync } from 'node:fs'
import { type Dataset, splitDataset } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import { type BenchNetwork, type TrainOptions, type TrainResult, train } from '@fewbit/core/pipeline'
import { FewbitError, problem } from '@fewbit/core/util'
import { checkWritable, loadModel, saveModel } from '@fewbit/engine-node'
import { type CheckpointFile, checkpointFile, checkpointPath, withCheckpoint } from '../checkpoint-file.ts'
import type { CommandContext } from '../command.ts'
import { zooFactsOf } from '../zoo-network.ts'
import { type BenchFlags, FLOAT_EPOCHS, HELD_OUT } from './bench-flags.ts'
import type { TrainFlags } from './train-flags.ts'
import { trainOptions } from './train-options.ts'

/** Metadata of a kept float network: JSON of what it was asked for. */
const RECIPE_KEY = 'fewbit.bench'
/** Batches that a checkpoint may lose, and at most an epoch. */
const CHECKPOINT_STEPS = 100
const BATCH = 128

interface Drawn {
  readonly name: string
  /** With random weights. */
  readonly model: Model
}

interface Task extends Drawn {
  readonly path: string
  readonly recipe: Readonly<Record<string, unknown>>
  readonly options: TrainOptions
  readonly epochs: number
}

/** `out/table.json` and `resnet20` → `out/table.resnet20.float.onnx`. */
export const floatPath = (output: string, name: string): string =>
  `${output.replace(/\.json$/i, '')}.${name}.float.onnx`

/**
 * A network of the zoo that is trained in float as `train --zoo` does it, once: it is kept beside the table, and checkpoints while it is trained.
 * @throws FewbitError FILE_*, DATA_*; from `make` what training throws, BENCH_MODEL where another network stands in its place.
 */
export async function floatNetwork(
  cx: CommandContext,
  { name, model }: Drawn,
  flags: BenchFlags,
): Promise<BenchNetwork> {
  const { models: _m, algorithms: _a, targets: _t, scheme: _q, strict: _r, ...rest } = flags
  const { steps: _s, batch: _b, lr: _l, floatEpochs: epochs = FLOAT_EPOCHS, ...shared } = rest
  const path = floatPath(flags.output, name)
  checkWritable(path)
  const options = await optionsOf(cx, model, { ...shared, zoo: name, epochs })
  const { data, seed } = options
  const network = zooFactsOf(model)
  const recipe = { network, epochs, seed, data: 'toJSON' in data ? data.toJSON() : data.name }
  const task = { name, model, path, recipe, options, epochs }
  return {
    recipe,
    make: async () => (await kept(cx, task)) ?? (await trained(cx, task)),
  }
}

/** With scores on samples that are held out, the same as those of cells, where there are no data for them. */
async function optionsOf(cx: CommandContext, model: Model, flags: TrainFlags): Promise<TrainOptions> {
  if (flags.evalData !== undefined) return trainOptions(cx, model, flags)
  const { samples: rest, evalSamples: held, ...others } = flags
  const options = await trainOptions(cx, model, others)
  const limits = { ...(rest !== undefined && { rest }), ...(held !== undefined && { held }) }
  // Opened there.
  const split = splitDataset(options.data as Dataset, HELD_OUT, limits)
  return { ...options, data: split.rest, evaluation: { data: split.held } }
}

/** The network of an earlier run. */
async function kept({ console }: CommandContext, { name, path, recipe }: Task): Promise<Model | undefined> {
  if (!existsSync(path)) return undefined
  const model = await loadModel(path)
  const text = model.metadata.get(RECIPE_KEY)
  if (text === undefined) throw foreign(path, name)
  const different = differences(JSON.parse(text), recipe)
  const news =
    different.length === 0 ? 'is taken again' : `was trained otherwise, and is trained anew: ${different.join('; ')}`
  console.err.write(`${name}: the float network in ${path} ${news}\n`)
  return different.length === 0 ? model : undefined
}

const differences = (then: Task['recipe'], now: Task['recipe']): string[] =>
  [...new Set([...Object.keys(then), ...Object.keys(now)])]
    .map((key) => [key, JSON.stringify(then[key]), JSON.stringify(now[key])] as const)
    .filter(([, a, b]) => a !== b)
    .map(([key, a, b]) => `${key} ${a} then, ${b} now`)

async function trained(cx: CommandContext, task: Task): Promise<Model> {
  const { name, path, epochs } = task
  const checkpoint = checkpointFile(checkpointPath(path, 'train'))
  const from = existsSync(checkpoint.name) ? `, from the checkpoint ${checkpoint.name}` : ''
  cx.console.err.write(`${name}: training in float, ${epochs} epoch${epochs === 1 ? '' : 's'}${from}\n`)
  const use = { keep: false, console: cx.console, goOn: 'the same command goes on from there' }
  await withCheckpoint(checkpoint, use, async () => {
    const { model, diagnostics } = await goneOn(cx, task, checkpoint)
    cx.diagnostics.list.push(...diagnostics)
    model.metadata.set(RECIPE_KEY, JSON.stringify(task.recipe))
    await saveModel(model, path)
  })
  // From the file, as a later run will have it.
  return loadModel(path)
}

/** Trains from the checkpoint on; anew where that is of another training. */
async function goneOn(
  { console }: CommandContext,
  { name, model, options }: Task,
  memory: CheckpointFile,
): Promise<TrainResult> {
  const { length = Number.POSITIVE_INFINITY } = options.data as Partial<Dataset>
  const checkpointSteps = Math.max(1, Math.min(CHECKPOINT_STEPS, Math.floor(length / BATCH)))
  const course = { ...options, memory, checkpointSteps }
  try {
    return await train(model, { ...course, resume: existsSync(memory.name) })
  } catch (error) {
    if (!(error instanceof FewbitError) || error.code !== 'CHECKPOINT_OTHER') throw error
    console.err.write(`${name}: ${error.diagnostics[0]?.message}; training anew\n`)
    memory.remove()
    return train(model, course)
  }
}

const foreign = (path: string, name: string): Error =>
  problem('BENCH_MODEL', `where ${name} would be kept stands a network that this command has not trained`, {
    at: { file: path },
    fix: 'move it away, name another table with -o, or compare that network: give its path in --models',
  })
