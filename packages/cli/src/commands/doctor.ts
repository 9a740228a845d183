import { type DoctorResult, doctor, exportArtifacts } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { artifactName, destinationFor, formsFor } from '../artifacts.ts'
import { action, type CommandBody, type CommandContext, type Invocation } from '../command.ts'
import { withDataFlags } from '../data-flags.ts'
import { renderDiagnosis } from '../render/diagnosis.ts'
import { wroteText } from '../render/quantization.ts'
import { writeResult } from '../write-result.ts'
import { withQuantizeFlags } from './quantize-flags.ts'
import { type QuantizeFlags, quantizeOptions } from './quantize-options.ts'

interface Flags extends Omit<QuantizeFlags, 'output'> {
  apply?: boolean
  output?: string
}

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  const { apply = false, output, ...rest } = flags
  const destination = apply ? destinationFor(outputOf(output), file) : undefined
  if (!apply && output !== undefined) throw unused()
  const model = await loadModel(file)
  const options = await quantizeOptions(cx, model, { ...rest, output: output ?? '' })
  const result = await doctor(model, { ...options, apply })
  const written = destination && (await write(result, destination, file, cx))
  const text = renderDiagnosis(result.diagnosis)
  return {
    json: { model: file, ...result.diagnosis, ...(written ? { output: written.output } : {}) },
    text: written ? `${text}\n\n${wroteText(written.output, written.files)}` : text,
  }
}

async function write(
  { quantized }: DoctorResult,
  destination: ReturnType<typeof destinationFor>,
  file: string,
  cx: CommandContext,
) {
  if (!quantized) return undefined
  const forms = formsFor(destination, undefined, cx.run)
  return writeResult(quantized, exportArtifacts(quantized, { ...forms, name: artifactName(file) }), destination)
}

function outputOf(output: string | undefined): string {
  if (output !== undefined) return output
  throw problem('OUTPUT_MISSING', '--apply writes the network that the remedies make', {
    at: { option: 'output' },
    fix: 'name a .onnx file or a folder with -o',
  })
}

const unused = () =>
  problem('OUTPUT_UNUSED', 'without --apply nothing is written', {
    at: { option: 'output' },
    fix: 'add --apply, or leave -o out',
  })

const EXAMPLES = `
Examples:
  fewbit doctor model.onnx --data calib/ --preset imagenet --target snpe
  fewbit doctor model.onnx --data calib/ --eval-data val/ --metric top1 --apply -o model.int8.onnx
  fewbit doctor model.onnx --data calib/ --observer minmax --per-tensor`

export function doctorCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('doctor')
    .summary('what is wrong with a quantized network, where, and what helps')
    .description(
      'Quantizes as the options say, looks for known causes of lost accuracy, and tries the remedy of each that it finds.',
    )
    .argument('<model>', 'the float ONNX file')
    .option('--apply', 'take the remedies together that help, and write the network')
    .option('-o, --output <path>', 'with --apply: a .onnx file, or a folder for all that the backend reads')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
  withDataFlags(withQuantizeFlags(command, invocation)).action(action(invocation, body))
}
