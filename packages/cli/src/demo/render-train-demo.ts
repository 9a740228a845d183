import { metricText } from '@fewbit/core/analysis'
import { figure, must, percent, seconds } from '@fewbit/core/util'
import { table } from '../render/table.ts'
import { SAMPLES, scores } from './run-demo.ts'
import { TRAINING, type TrainDemoResult } from './train-demo.ts'

/** What training from random weights, four bits, and training with fake-quantizers came to. */
export function renderTrainDemo(
  { float, nearest, trained, seconds: took }: TrainDemoResult,
  folder: string | undefined,
): string {
  const top1 = (metrics: Readonly<Record<string, number>> | undefined) =>
    metricText('top1', metrics?.top1 ?? Number.NaN)
  const rows = [
    ['random weights', top1(float.report.before)],
    [`float, ${TRAINING.epochs} epochs`, top1(float.report.after)],
    ['four bits, to the nearest', top1(scores(nearest, 'after'))],
    [`four bits, ${TRAINING.quantizedEpochs} more epochs`, top1(trained.report.after)],
    ['the same, converted', top1(trained.report.quantized)],
  ]
  const { outputs, samples } = must(trained.conversion, 'conversion')
  return [
    "The demo's network, trained from random weights on pictures that a seeded generator draws, then quantized to four bits",
    'for weights and activations (eight in the first and the last layer), and trained with fake-quantizers (LSQ).',
    `${TRAINING.pictures} pictures to train on; accuracy on ${SAMPLES.test} others.`,
    '',
    table(['', 'accuracy'], rows, ['left', 'right']),
    '',
    ...outputs.map(
      ({ within }) =>
        `converted against trained: ${percent(within, 2)} of scores within a step, on ${samples} pictures`,
    ),
    `${figure(float.report.samplesPerSecond)} pictures/s in float, ${figure(trained.report.samplesPerSecond)} with fake-quantizers; ${seconds(took)} in all`,
    ...(folder === undefined ? [] : [`wrote ${folder}`]),
  ].join('\n')
}
