import { BENCH_ALGORITHMS, BENCH_TARGETS, QAT_BENCH_RECIPE } from '@fewbit/core/pipeline'
import { type Command, Option } from 'commander'
import { type DataFlags, positiveInteger, withDataFlags } from '../data-flags.ts'
import { list } from './quantize-flags.ts'

export interface BenchFlags extends DataFlags {
  models: string[]
  classes?: number
  floatEpochs?: number
  data: string
  evalData?: string
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

/** Passes over the data that a network of the zoo is trained for in float; `train` takes as many. */
export const FLOAT_EPOCHS = 10

/** One of so many samples is held out for scores where no data are given for those. */
export const HELD_OUT = 10

export function withBenchFlags(command: Command): Command {
  command
    .requiredOption(
      '--models <list>',
      'comma-separated: trained float networks as ONNX files; names of the zoo, which are trained in float first; name=file.safetensors, such a network with the weights of a file',
      list,
    )
    .option(
      '--classes <n>',
      'how many classes networks of the zoo score (default: what they are made for)',
      positiveInteger,
    )
    .option(
      '--float-epochs <n>',
      `passes over the data in which networks of the zoo are trained in float (default: ${FLOAT_EPOCHS})`,
      positiveInteger,
    )
    .requiredOption('--data <path>', 'labelled training data')
    .option(
      '--eval-data <path>',
      `other labelled data, that all networks are scored on (default: every ${HELD_OUT}th sample of --data, none of which is trained on)`,
    )
    .option('--samples <n>', 'train on so many (default: as many as the steps take; in float, all)', positiveInteger)
    .option('--eval-samples <n>', 'score so many', positiveInteger)
    .option('--metric <list>', 'comma-separated metrics', list)
    .option('--algorithms <list>', `comma-separated, or all: ${BENCH_ALGORITHMS.join(', ')}`, list, ['all'])
    .option('--targets <list>', `comma-separated backends, or all: ${BENCH_TARGETS.join(', ')}`, list, ['all'])
    .option('--scheme <list>', 'comma-separated schemes', list, ['w4a4'])
    .option('--steps <n>', 'of training, for each cell', positiveInteger, QAT_BENCH_RECIPE.steps)
    .option('--batch <n>', 'samples in a batch of a cell', positiveInteger, QAT_BENCH_RECIPE.batchSize)
    .addOption(
      new Option('--lr <rate>', 'highest learning rate of a cell').argParser(Number).default(QAT_BENCH_RECIPE.lr),
    )
    .option('--strict', 'refuse bits that a backend has no kernels for, instead of taking its rules at them')
    .option('-o, --output <file>', 'where the table is kept; float networks stand beside it', 'qat-bench.json')
    .option('--json', 'print one JSON document')
  return withDataFlags(command)
}
