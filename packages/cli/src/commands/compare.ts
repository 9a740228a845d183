import { type Comparison, compare, DEFAULT_SAMPLES } from '@fewbit/core/pipeline'
import { formatDiagnostic } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { EXIT } from '../failure.ts'
import { differenceText, layersText, partingText, worstLayers } from '../render/parting.ts'
import { type ToleranceFlags, toleranceOf, withToleranceFlags } from './comparing.ts'

interface Flags extends DataFlags, ToleranceFlags {
  data: string
  samples?: number
  intermediate?: true
}

const body: CommandBody<[string, string, Flags]> = async (cx, first, second, flags) => {
  const [a, b] = [await loadModel(first), await loadModel(second)]
  const result = await compare(a, b, {
    ...cx.run,
    ...toleranceOf(flags),
    data: await openData(flags.data, a, flags, cx, flags.samples ?? DEFAULT_SAMPLES.compare),
    ...(flags.samples ? { samples: flags.samples } : {}),
    ...(flags.intermediate ? { intermediate: true } : {}),
  })
  return {
    json: { models: [first, second], ...result },
    text: render(result, flags.intermediate === true),
    exitCode: result.verdict === 'parts' ? EXIT.floorMissed : EXIT.ok,
  }
}

const VERDICTS = {
  same: 'the models agree',
  rounding: 'outputs differ, but no node by more than it may: small differences add up',
  parts: 'the models part',
}

/** @param all whether every tensor was asked for. */
function render(result: Comparison, all: boolean): string {
  const { verdict, outputs, parting, matched, synthetic, diagnostics } = result
  return [
    `${VERDICTS[verdict]} on ${result.samples} samples of ${result.data}`,
    `outputs: ${differenceText(outputs)}${result.samples > 1 && outputs.differing > 0 ? ' on the worst sample' : ''}`,
    `${matched.byName} tensors matched by name, ${matched.byStructure} by structure`,
    ...(parting ? ['', ...partingText(parting)] : []),
    ...nodesText(result, all),
    ...(synthetic ? ['the data are random numbers: real inputs may behave differently'] : []),
    ...diagnostics.map(formatDiagnostic),
  ].join('\n')
}

/** Nodes that are shown unasked. */
const NAMED = 8

function nodesText({ layers, parting, sample }: Comparison, all: boolean): string[] {
  if (layers.length === 0 || (parting && !all)) return []
  const title = all ? 'every tensor' : `the ${Math.min(NAMED, layers.length)} nodes that are furthest off`
  const more = all || layers.length <= NAMED ? [] : [`--intermediate shows all ${layers.length}`]
  return ['', `${title}, on sample "${sample}":`, ...layersText(all ? layers : worstLayers(layers, NAMED)), ...more]
}

export function compareCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('compare')
    .summary('the first node at which two models part')
    .description(
      'Runs two forms of one network on the same data, and names the first node that makes something else of the same inputs. Tensors are matched by name, then by structure. The exit code is 3 if the models part.',
    )
    .argument('<first>', 'an ONNX file')
    .argument('<second>', 'another form of it')
    .requiredOption('--data <path>', 'image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option(
      '--samples <n>',
      `at most this many samples, evenly spread over the data (default ${DEFAULT_SAMPLES.compare})`,
      positiveInteger,
    )
    .option('--intermediate', 'compare every tensor, also where the outputs agree')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  fewbit compare model.onnx model.int8.onnx --data calib/ --preset imagenet')
  withDataFlags(withToleranceFlags(command)).action(action(invocation, body))
}
