import type { AnalysisReport } from '@fewbit/core/analysis'
import type { Model } from '@fewbit/core/ir'
import {
  analysisFindings,
  analyze,
  type DoctorResult,
  datasetFor,
  doctor,
  exportArtifacts,
  type QuantizeOptions,
} from '@fewbit/core/pipeline'
import { must, problem } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import { renderReport } from '@fewbit/report'
import type { Command } from 'commander'
import { artifactName, checkPage, destinationFor, formsFor, writeText } from '../artifacts.ts'
import { action, type CommandBody, type CommandContext, type Invocation } from '../command.ts'
import { commandLine } from '../command-line.ts'
import { withDataFlags } from '../data-flags.ts'
import { renderDiagnosis } from '../render/diagnosis.ts'
import { wroteText } from '../render/quantization.ts'
import { writeResult } from '../write-result.ts'
import { withQuantizeFlags } from './quantize-flags.ts'
import { type QuantizeFlags, quantizeOptions } from './quantize-options.ts'

interface Flags extends Omit<QuantizeFlags, 'output'> {
  apply?: boolean
  output?: string
  html?: string
}

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  const { apply = false, output, html, ...rest } = flags
  if (html !== undefined) checkPage(html, [file])
  const destination = apply ? destinationFor(outputOf(output), file) : undefined
  if (!apply && output !== undefined) throw unused()
  const model = await loadModel(file)
  const options = await quantizeOptions(cx, model, { ...rest, output: output ?? '' })
  const result = await doctor(model, { ...options, apply })
  const written = destination && (await write(result, destination, file, cx))
  if (html !== undefined) writeText(html, renderReport(await page(model, result, options, file)))
  const text = [renderDiagnosis(result.diagnosis), ...(html === undefined ? [] : ['', `wrote ${html}`])].join('\n')
  return {
    json: { model: file, ...result.diagnosis, ...(written ? { output: written.output } : {}) },
    text: written ? `${text}\n\n${wroteText(written.output, written.files)}` : text,
  }
}

/** The analysis of the network that was examined, with what was found. */
async function page(
  model: Model,
  { diagnosis, examined }: DoctorResult,
  { calibration, evaluation, ...run }: QuantizeOptions,
  file: string,
): Promise<AnalysisReport> {
  const { engine, signal, onProgress, extensions } = run
  const { report } = await analyze(model, examined.model, {
    engine,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(extensions ? { extensions } : {}),
    ...(evaluation ? { evaluation } : {}),
    data: await datasetFor(must(calibration.data, 'calibration data'), model),
    layerwise: true,
    quantization: examined,
    names: { float: file, quantized: `${file}, quantized for ${diagnosis.target}` },
  })
  return { ...report, findings: analysisFindings(diagnosis), command: commandLine() }
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
    .option('--html <file>', 'also write all of it into one HTML file that needs no network')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
  withDataFlags(withQuantizeFlags(command, invocation)).action(action(invocation, body))
}
