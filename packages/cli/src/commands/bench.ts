import { existsSync } from 'node:fs'
import { basename, extname } from 'node:path'
import type { Model } from '@fewbit/core/ir'
import { BENCH_ALGORITHMS, BENCH_TARGETS, benchQat, QAT_BENCH_RECIPE, type QatBench } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { checkWritable, loadModel } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { action, type CommandBody, type CommandContext, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { ladderFile } from '../ladder.ts'
import { renderQatBench } from '../render/qat-bench.ts'
import { list } from './quantize-flags.ts'

interface Flags extends DataFlags {
  models: string[]
  data: string
  evalData: string
  samples?: number
  evalSamples?: number
  metric?: string[]
  algorithms: string[]
  targets: string[]
  scheme: string[]
  steps: number
  batch: number
  lr: number
  strict?: boolean
  output: string
}

const body: CommandBody<[string, Flags]> = async (cx, _what, flags) => {
  checkWritable(flags.output)
  const models = await modelsOf(flags.models)
  const [first] = Object.values(models) as [Model]
  const { steps, batch: batchSize, lr, seed = QAT_BENCH_RECIPE.seed, metric, strict } = flags
  const bench = await benchQat(models, {
    ...cx.run,
    data: await openData(flags.data, first, flags, cx, flags.samples ?? steps * batchSize),
    evaluation: {
      data: await openData(flags.evalData, first, flags, cx, flags.evalSamples),
      ...(metric && { metrics: metric }),
    },
    ...(flags.algorithms[0] !== 'all' && { algorithms: flags.algorithms }),
    ...(flags.targets[0] !== 'all' && { targets: flags.targets }),
    schemes: flags.scheme,
    recipe: { steps, batchSize, lr, seed },
    ...(strict && { strict }),
    memory: memoryOf(flags.output, cx),
  })
  return { json: bench, text: [renderQatBench(bench), '', `wrote ${flags.output}`].join('\n') }
}

/** The table as a file, and a line for each cell that is finished. */
function memoryOf(path: string, { console }: CommandContext) {
  const { load, save } = ladderFile<QatBench>(path)
  return {
    name: path,
    // A file that cannot be read is somebody else's: what is loaded of it is refused, and it stays.
    load: async () => (existsSync(path) ? ((await load()) ?? {}) : undefined),
    async save(bench: QatBench) {
      await save(bench)
      const { algorithm, target, refused, seconds } = bench.cells.at(-1) as QatBench['cells'][number]
      console.err.write(`${algorithm}, ${target}: ${refused ? `refused, ${refused.code}` : 'done'} (${seconds} s)\n`)
    },
  }
}

/** @throws FewbitError BENCH_MODEL */
async function modelsOf(paths: readonly string[]): Promise<Record<string, Model>> {
  const models: Record<string, Model> = {}
  for (const path of paths) {
    if (extname(path) !== '.onnx') {
      throw problem('BENCH_MODEL', `"${path}" is no ONNX file`, {
        at: { option: 'models' },
        fix: 'give paths; train a network of the zoo first: fewbit train --zoo resnet20 …',
      })
    }
    models[basename(path, '.onnx')] = await loadModel(path)
  }
  return models
}

export function benchCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('bench')
    .summary('train with each method for each backend, and compare what is deployed')
    .description(
      'Trains networks with each method of quantization-aware training under the rules of each backend, by one recipe, and scores what was trained beside what is deployed. Finished cells stand in the output file, and the same command goes on after a stop.',
    )
    .argument('<what>', 'qat', oneOf)
    .requiredOption('--models <list>', 'trained float networks: comma-separated ONNX files', list)
    .requiredOption('--data <path>', 'labelled training data')
    .requiredOption('--eval-data <path>', 'other labelled data, that all networks are scored on')
    .option('--samples <n>', 'train on so many (default: as many as the steps take)', positiveInteger)
    .option('--eval-samples <n>', 'score so many', positiveInteger)
    .option('--metric <list>', 'comma-separated metrics', list)
    .option('--algorithms <list>', `comma-separated, or all: ${BENCH_ALGORITHMS.join(', ')}`, list, ['all'])
    .option('--targets <list>', `comma-separated backends, or all: ${BENCH_TARGETS.join(', ')}`, list, ['all'])
    .option('--scheme <list>', 'comma-separated schemes', list, ['w4a4'])
    .option('--steps <n>', 'of training, for each cell', positiveInteger, QAT_BENCH_RECIPE.steps)
    .option('--batch <n>', 'samples in a batch', positiveInteger, QAT_BENCH_RECIPE.batchSize)
    .addOption(new Option('--lr <rate>', 'highest learning rate').argParser(Number).default(QAT_BENCH_RECIPE.lr))
    .option('--strict', 'refuse bits that a backend has no kernels for, instead of taking its rules at them')
    .option('-o, --output <file>', 'where the table is kept', 'qat-bench.json')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExample:\n  fewbit bench qat --models resnet20.onnx --algorithms lsq,pact --targets academic,tensorrt --data train/ --eval-data test/ --preset cifar10',
    )
  withDataFlags(command).action(action(invocation, body))
}

function oneOf(what: string): string {
  if (what === 'qat') return what
  throw problem('USAGE', `there is no benchmark "${what}"`, { fix: 'write fewbit bench qat' })
}
