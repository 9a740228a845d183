import { METRICS, metricText } from '@fewbit/core/analysis'
import { type Evaluation, evaluate } from '@fewbit/core/pipeline'
import { duration, formatDiagnostic } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { table } from '../render/table.ts'

interface Flags extends DataFlags {
  data: string
  metric?: string[]
  against?: string
  samples?: number
  batchSize?: number
}

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  const model = await loadModel(file)
  const against = flags.against === undefined ? undefined : await loadModel(flags.against)
  const result = await evaluate(model, {
    ...cx.run,
    data: await openData(flags.data, model, flags, cx, flags.samples),
    ...(flags.metric ? { metrics: flags.metric } : {}),
    ...(against ? { against } : {}),
    ...(flags.batchSize ? { batchSize: flags.batchSize } : {}),
  })
  return { json: { model: file, ...result }, text: render(file, result) }
}

function render(file: string, result: Evaluation): string {
  const rows = Object.entries(result.metrics).map(([name, value]) => [name, metricText(name, value)])
  rows.push(['samples', String(result.samples)], ['time per sample', duration(result.secondsPerSample)])
  const warning = result.synthetic ? ['the data are random numbers: these figures say nothing about accuracy'] : []
  return [
    `${file} on ${result.data}`,
    table([], rows, ['left', 'right']),
    ...warning,
    ...result.diagnostics.map(formatDiagnostic),
  ].join('\n')
}

const list = (text: string): string[] => text.split(',').map((s) => s.trim())

export function evaluateCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('evaluate')
    .summary('score a model on data, or against another model')
    .description('Runs a model over data. Class labels come from subfolders, labels.csv or an array y.')
    .argument('<model>', 'ONNX file')
    .requiredOption('--data <path>', 'image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option('--metric <list>', `comma-separated: ${Object.keys(METRICS).join(', ')}`, list)
    .option('--against <model>', 'float model to compare outputs with')
    .option('--samples <n>', 'at most this many samples, evenly spread over the data', positiveInteger)
    .option('--batch-size <n>', 'samples per run where the model allows it', positiveInteger)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit evaluate model.onnx --data val/ --preset imagenet\n  fewbit evaluate model.int8.onnx --data val/ --preset imagenet --against model.onnx --metric top1,sqnr',
    )
  withDataFlags(command).action(action(invocation, body))
}
