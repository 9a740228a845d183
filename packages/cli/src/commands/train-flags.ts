import { METRICS } from '@fewbit/core/analysis'
import { FAKE_QUANTIZERS } from '@fewbit/core/fake-quantizers'
import { FLOAT_BATCH_NORMS, QAT_PRESETS, type QatPresetName } from '@fewbit/core/pipeline'
import { BATCH_NORM_STRATEGIES } from '@fewbit/core/qat'
import { LOSSES, OPTIMIZERS, SCHEDULES } from '@fewbit/core/training'
import { AUGMENTATIONS } from '@fewbit/core/training-data'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Invocation } from '../command.ts'
import { positiveInteger, withDataFlags } from '../data-flags.ts'
import { collect, list, withPlanFlags } from './quantize-flags.ts'
import type { QuantizeFlags } from './quantize-options.ts'

export interface TrainFlags extends QuantizeFlags {
  data: string
  profile?: boolean
  zoo?: string
  classes?: number
  evalSamples?: number
  epochs?: number
  maxSteps?: number
  batch?: number
  accumulate?: number
  lr?: number
  loss?: string
  optimizer?: string
  schedule?: string
  clipNorm?: number
  ema?: number
  batchNorm?: string
  freeze?: string[]
  augment?: string
  teacher?: string
  earlyStop?: number
  checkpoint?: string
  checkpointSteps?: number
  resume?: boolean
  keepCheckpoint?: boolean
  qat?: string | true
  weightQuantizer?: string
  strict?: boolean
  qatPreset?: QatPresetName
  calibrationSamples?: number
  oscillation?: string
  reestimateBatches?: number
}

/** As they are given: the output may be missing. */
export type GivenTrainFlags = Omit<TrainFlags, 'output'> & { output?: string }

const names = (registry: object): string => Object.keys(registry).join(', ')

function positive(text: string): number {
  const n = Number(text)
  if (!(n > 0) || !Number.isFinite(n)) throw new InvalidArgumentError('It must be a number above 0.')
  return n
}

function decay(text: string): number {
  const n = Number(text)
  if (!(n > 0 && n < 1)) throw new InvalidArgumentError('It must be a number between 0 and 1, such as 0.999.')
  return n
}

/** Adds what `train` takes. */
export function withTrainFlags(command: Command, invocation: Invocation): Command {
  withNetworkFlags(command)
  withCourseFlags(command)
  withCheckpointFlags(command)
  command.option('--profile', 'where the time of a step goes, by operator; without -o nothing else is done')
  return withDataFlags(withPlanFlags(withQatFlags(command), invocation))
}

function withNetworkFlags(command: Command): void {
  command
    .option('--zoo <name>', 'train a network of the zoo from scratch: "fewbit zoo" lists them')
    .option('--classes <n>', 'with --zoo: how many classes it scores', positiveInteger)
    .requiredOption('--data <path>', 'training data: image folder, .npz, .tar.gz, or a folder of .npz')
    .option('--samples <n>', 'train on so many, evenly spread over the data', positiveInteger)
    .option('--eval-data <path>', 'other data, scored before training and after each epoch')
    .option('--eval-samples <n>', 'score so many of them', positiveInteger)
    .option('--metric <list>', `comma-separated: ${names(METRICS)}`, list)
    .option('--augment <list>', `what is done to pictures, such as crop:pad=4,flip: ${names(AUGMENTATIONS)}`)
    .option('--teacher <model>', 'ONNX file whose outputs the loss may compare with')
}

function withCourseFlags(command: Command): void {
  command
    .option('--epochs <n>', 'passes over the data (default 10)', positiveInteger)
    .option('--max-steps <n>', 'end after so many steps, whatever the epochs', positiveInteger)
    .option('--batch <n>', 'samples in a batch (default 128)', positiveInteger)
    .option('--accumulate <n>', 'batches that make one step (default 1)', positiveInteger)
    .option('--lr <rate>', 'highest learning rate (default by batch size and kind of training)', positive)
    .option('--schedule <name>', `how the rate falls, such as cosine:warmup=100: ${names(SCHEDULES)}`)
    .option('--optimizer <name>', `such as sgd:momentum=0.9,nesterov,weightDecay=1e-4: ${names(OPTIMIZERS)}`)
    .option('--loss <name>', `such as cross-entropy:labelSmoothing=0.1, or a sum: ${names(LOSSES)}`)
    .option('--clip-norm <norm>', 'scale gradients down to this norm', positive)
    .option('--ema <decay>', 'evaluate and write moving averages of the weights', decay)
    .option('--freeze <name>', 'weights that do not change, such as conv1.*; may be repeated', collect)
    .addOption(
      new Option(
        '--batch-norm <strategy>',
        'what BatchNormalization does; restore puts it back where it is folded; those after it are for --qat',
      ).choices([...new Set([...FLOAT_BATCH_NORMS, ...Object.keys(BATCH_NORM_STRATEGIES)])]),
    )
    .option('--early-stop <n>', 'end when so many epochs were no better, and keep the best', positiveInteger)
}

function withCheckpointFlags(command: Command): void {
  command
    .option('--checkpoint <file>', 'default: NAME.train.safetensors beside the output')
    .option('--checkpoint-steps <n>', 'steps between checkpoints (default 100)', positiveInteger)
    .option('--resume', 'go on from the checkpoint, to the same result as without a stop')
    .option('--keep-checkpoint', 'leave the checkpoint when all is done')
}

const withQatFlags = (command: Command): Command =>
  command
    .option('--qat [name]', `train with fake-quantizers (default lsq): ${names(FAKE_QUANTIZERS)}`)
    .addOption(new Option('--qat-preset <name>', 'the same with ranges, by one name').choices(Object.keys(QAT_PRESETS)))
    .option('--weight-quantizer <name>', 'with --qat: another fake-quantizer for weights')
    .option('--strict', 'with --qat: refuse bits that the backend has no kernels for')
    .option('--oscillation <mode>', 'with --qat: weights that turn from code to code: track, freeze, dampen:weight=0.1')
    .option(
      '--reestimate-batches <n>',
      'with --qat: take BatchNormalization statistics anew at the end',
      positiveInteger,
    )
    .option('--calibration-samples <n>', 'with --qat: samples that ranges begin with (default 128)', positiveInteger)
