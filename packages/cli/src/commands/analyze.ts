import { METRICS, type MetricName } from '@fewbit/core/analysis'
import { allocationFront, analyze, DEFAULT_SAMPLES } from '@fewbit/core/pipeline'
import { loadModel } from '@fewbit/engine-node'
import { renderReport } from '@fewbit/report'
import { type Command, Option } from 'commander'
import { checkPage, writeText } from '../artifacts.ts'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { commandLine } from '../command-line.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { readText } from '../read-text.ts'
import { renderAnalysis } from '../render/analysis.ts'

interface Flags extends DataFlags {
  data: string
  samples?: number
  layerwise?: true | 'split'
  evalData?: string
  metric?: string[]
  html?: string
  allocation?: string
}

const body: CommandBody<[string, string, Flags]> = async (cx, floatFile, quantizedFile, flags) => {
  const { samples, layerwise, evalData, metric, html, allocation } = flags
  if (html !== undefined) checkPage(html, [floatFile, quantizedFile])
  const reference = await loadModel(floatFile)
  const candidate = await loadModel(quantizedFile)
  const evaluation = evalData === undefined ? undefined : await openData(evalData, reference, flags, cx)
  const result = await analyze(reference, candidate, {
    ...cx.run,
    data: await openData(flags.data, reference, flags, cx, samples ?? DEFAULT_SAMPLES.analyze),
    names: { float: floatFile, quantized: quantizedFile },
    ...(samples ? { samples } : {}),
    ...(layerwise ? { layerwise } : {}),
    ...(evaluation ? { evaluation: { data: evaluation, ...(metric ? { metrics: metric } : {}) } } : {}),
  })
  const pareto = allocation === undefined ? {} : allocationFront(readText(allocation), allocation)
  const report = { ...result.report, ...pareto, command: commandLine() }
  if (html !== undefined) writeText(html, renderReport(report))
  const wrote = html === undefined ? [] : [`wrote ${html}`]
  return { json: report, text: [renderAnalysis(result), ...wrote].join('\n') }
}

export function analyzeCommand(program: Command, invocation: Invocation): void {
  const labelled = Object.entries(METRICS).filter(([, { needs }]) => needs === 'labels')
  const command = program
    .command('analyze')
    .summary('what quantization did to a model, layer by layer')
    .description(
      'Compares a quantized model with its float model: errors of outputs and of every tensor, which layers cause them, and how tensors fill their ranges.',
    )
    .argument('<float>', 'the float ONNX file')
    .argument('<quantized>', 'the quantized ONNX file')
    .requiredOption('--data <path>', 'image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option(
      '--samples <n>',
      `at most this many samples, evenly spread over the data (default ${DEFAULT_SAMPLES.analyze})`,
      positiveInteger,
    )
    .addOption(
      new Option(
        '--layerwise [split]',
        'also the error that each layer makes alone; "split" tells its weights from its activations, in three times the time',
      ).choices(['split']),
    )
    .option('--eval-data <path>', 'data with labels, to score both models on')
    .addOption(
      new Option('--metric <name...>', 'scores on --eval-data').choices(labelled.map(([name]) => name as MetricName)),
    )
    .option('--allocation <file>', 'what fewbit allocate wrote: its front of size and error goes into the report')
    .option('--html <file>', 'also write everything into one HTML file that needs no network')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExample:\n  fewbit analyze model.onnx model.int8.onnx --data calib/ --preset imagenet --layerwise --html report.html',
    )
  withDataFlags(command).action(action(invocation, body))
}
