import type { LayerError } from '@fewbit/core/analysis'
import { type Analysis, analyze } from '@fewbit/core/pipeline'
import { decibel, figure, formatDiagnostic } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { table } from '../render/table.ts'

interface Flags extends DataFlags {
  data: string
  samples?: number
}

const body: CommandBody<[string, string, Flags]> = async (cx, floatFile, quantizedFile, flags) => {
  const reference = await loadModel(floatFile)
  const candidate = await loadModel(quantizedFile)
  const result = await analyze(reference, candidate, {
    ...cx.run,
    data: await openData(flags.data, reference, flags, cx),
    ...(flags.samples ? { samples: flags.samples } : {}),
  })
  return { json: { float: floatFile, quantized: quantizedFile, ...result }, text: render(result) }
}

const cells = (e: LayerError): string[] => [
  e.node,
  e.opType,
  decibel(e.sqnr),
  e.cosine.toFixed(6),
  figure(e.mse),
  figure(e.maxAbs),
]

function render(result: Analysis): string {
  const head = ['layer', 'operator', 'SQNR', 'cosine', 'MSE', 'max error']
  const align = ['left', 'left', 'right', 'right', 'right', 'right'] as const
  const worst = result.worst.map((e, i) => `  ${i + 1}. ${e.node} (${e.opType}) ${decibel(e.sqnr)}`)
  return [
    `error that has accumulated up to each layer, ${result.samples} samples of ${result.data}`,
    table(head, result.layers.map(cells), align),
    '',
    'worst five:',
    ...worst,
    ...(result.synthetic ? ['the data are random numbers: real inputs may behave differently'] : []),
    ...result.diagnostics.map(formatDiagnostic),
  ].join('\n')
}

export function analyzeCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('analyze')
    .summary('error of each layer of a quantized model')
    .description('Compares every tensor that both models have, in graph order, in one pass over the data.')
    .argument('<float>', 'the float ONNX file')
    .argument('<quantized>', 'the quantized ONNX file')
    .requiredOption('--data <path>', 'image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option('--samples <n>', 'at most this many samples (default 64)', positiveInteger)
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  fewbit analyze model.onnx model.int8.onnx --data calib/ --preset imagenet')
  withDataFlags(command).action(action(invocation, body))
}
