import { METRICS } from '@fewbit/core/analysis'
import { DISPATCHES } from '@fewbit/core/quant'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Invocation } from '../command.ts'
import { positiveInteger } from '../data-flags.ts'

/** An option that may be repeated. */
export const collect = (value: string, list: string[] = []): string[] => [...list, value]
/** @throws InvalidArgumentError unless it is a name and a number. */
function observerOption(text: string, given: Record<string, number> = {}): Record<string, number> {
  const [, name, value] = /^(\w+)=(.+)$/.exec(text) ?? []
  if (name && Number.isFinite(Number(value))) return { ...given, [name]: Number(value) }
  throw new InvalidArgumentError('Write a name and a number, such as percentile=99.9.')
}

export const list = (text: string): string[] => text.split(',').map((s) => s.trim())

/** Adds the flags that say how a network is quantized, and on what it is calibrated and scored. */
export function withQuantizeFlags(command: Command, invocation: Invocation): Command {
  command
    .option('--data <path>', 'calibration data: image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option('--samples <n>', 'calibration samples, evenly spread over the data (default 128)', positiveInteger)
    .option('--batch-size <n>', 'samples per run where the model allows it', positiveInteger)
    .option('--eval-data <path>', 'other data, scored before and after')
    .option('--metric <list>', `comma-separated: ${Object.keys(METRICS).join(', ')}`, list)
  return withPlanFlags(command, invocation)
    .option('--observer-option <key=value>', 'option of that observer; may be repeated', observerOption)
    .option('--algorithm <name>', 'what to do about the error, as name or name:key=value,…; may be repeated', collect)
}

/** Adds the flags that say who is quantized and how. */
export function withPlanFlags(command: Command, { registries }: Invocation): Command {
  const { observers, targets } = registries
  return command
    .addOption(new Option('--target <name>', 'backend').choices(Object.keys(targets)))
    .option('--scheme <scheme>', 'bits of weights and activations (mostly w8a8 by default)')
    .addOption(new Option('--observer <name>', 'how ranges are chosen').choices(['auto', ...Object.keys(observers)]))
    .addOption(new Option('--weight-observer <name>', 'the same for weights').choices(Object.keys(observers)))
    .option('--per-tensor', 'one scale per weight tensor instead of one per channel')
    .addOption(
      new Option('--small-layers <form>', 'input layers too small for fast integer kernels').choices([
        'float',
        'integer',
      ]),
    )
    .addOption(new Option('--dispatch <rule>', "who is quantized; default the backend's own habit").choices(DISPATCHES))
    .addOption(
      new Option('--tails <form>', 'class probabilities and box decoding at the end').choices(['float', 'quantize']),
    )
    .option('--edge-bits <n>', 'bits of the first and the last layer, whatever the scheme', positiveInteger)
    .option('--float-nodes <file>', 'names of nodes to leave in float: a JSON array, or one on each line')
    .addOption(new Option('--activations <codes>', 'codes of activations').choices(['signed', 'unsigned']))
    .option('--override <rule>', 'exception such as name=/^fc/:float or op=Softmax:float; may be repeated', collect)
}
