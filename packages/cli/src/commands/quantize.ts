import { existsSync, realpathSync } from 'node:fs'
import { METRICS, metricNamed } from '@fewbit/core/analysis'
import type { Model } from '@fewbit/core/ir'
import { type PlanOptions, planModel, type QuantizeOptions, quantize } from '@fewbit/core/pipeline'
import { DISPATCHES, type Dispatch, parseOverride } from '@fewbit/core/quant'
import { problem } from '@fewbit/core/util'
import { checkWritable, loadModel, saveModel, writeAtomically } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { action, type CommandBody, type CommandContext, type CommandResult, type Invocation } from '../command.ts'
import { type DataFlags, openData, positiveInteger, withDataFlags } from '../data-flags.ts'
import { toJson } from '../output.ts'
import { summarizePlanText } from '../render/plan.ts'
import { renderQuantization } from '../render/quantization.ts'

interface Flags extends DataFlags {
  data?: string
  output: string
  target?: string
  scheme?: string
  samples?: number
  observer?: string
  perTensor?: boolean
  activations?: 'signed' | 'unsigned'
  smallLayers?: 'float' | 'integer'
  dispatch?: Dispatch
  tails?: 'float' | 'quantize'
  edgeBits?: number
  override?: string[]
  stopAfter?: 'plan'
  evalData?: string
  metric?: string[]
  batchSize?: number
}

const DEFAULT_SAMPLES = 128

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  const model = await loadModel(file)
  checkOutput(file, flags.output)
  const options = planOptions(cx, flags)
  if (flags.stopAfter === 'plan') return writePlan(await planModel(model, options), flags.output)
  const result = await quantize(model, { ...options, ...(await dataOptions(cx, model, flags)) })
  await saveModel(result.model, flags.output)
  const peakMemory = process.resourceUsage().maxRSS * 1024
  const { plan, report, recipe, trace, diagnostics } = result
  const json = {
    input: file,
    output: flags.output,
    report: { ...report, peakMemory },
    plan,
    recipe,
    trace,
    diagnostics,
  }
  return { json, text: renderQuantization({ input: file, output: flags.output, result, peakMemory }) }
}

/** The float model is what everything else starts from: it is never written over. */
function checkOutput(input: string, output: string): void {
  checkWritable(output)
  if (!existsSync(output) || realpathSync(output) !== realpathSync(input)) return
  throw problem('OUTPUT_IS_INPUT', 'the result would replace the float model', {
    at: { option: 'output', file: output },
    fix: 'choose another path with -o',
  })
}

function planOptions({ run }: CommandContext, flags: Flags): PlanOptions {
  return {
    ...run,
    ...(flags.target ? { target: flags.target } : {}),
    ...(flags.scheme ? { scheme: flags.scheme } : {}),
    ...(flags.perTensor ? { perTensor: true } : {}),
    ...(flags.activations ? { activations: flags.activations } : {}),
    ...(flags.dispatch ? { dispatch: flags.dispatch } : {}),
    ...(flags.tails ? { tails: flags.tails } : {}),
    ...(flags.edgeBits ? { edgeBits: flags.edgeBits } : {}),
    ...(flags.smallLayers ? { smallLayers: flags.smallLayers } : {}),
    overrides: (flags.override ?? []).map(parseOverride),
    seed: flags.seed ?? 1,
  }
}

type DataPart = Pick<QuantizeOptions, 'calibration' | 'evaluation'>

async function dataOptions(cx: CommandContext, model: Model, flags: Flags): Promise<DataPart> {
  if (!flags.data) {
    throw problem('DATA_MISSING', 'calibration needs data that look like what the network will see', {
      at: { option: 'data' },
      fix: 'name a folder of images or a .npz file with --data; --data random only shows that the model runs',
    })
  }
  checkMetrics(flags)
  const samples = flags.samples ?? DEFAULT_SAMPLES
  const calibration = {
    data: await openData(flags.data, model, flags, cx, samples),
    samples,
    ...(flags.observer ? { observer: flags.observer } : {}),
    ...(flags.batchSize ? { batchSize: flags.batchSize } : {}),
  }
  if (!flags.evalData) return { calibration }
  const data = await openData(flags.evalData, model, flags, cx)
  return { calibration, evaluation: { data, ...(flags.metric ? { metrics: flags.metric } : {}) } }
}

/** @throws FewbitError METRIC_UNKNOWN, or EVAL_DATA_MISSING for metrics of data that are not given. */
function checkMetrics({ metric, evalData }: Flags): void {
  for (const name of metric ?? []) metricNamed(name)
  if (!metric || evalData) return
  throw problem('EVAL_DATA_MISSING', '--metric scores evaluation data, but there are none', {
    at: { option: 'metric' },
    fix: 'name data other than the calibration data with --eval-data, or leave --metric out',
  })
}

function writePlan(result: Awaited<ReturnType<typeof planModel>>, output: string): CommandResult {
  const { plan, diagnostics } = result
  const text = new TextEncoder().encode(`${toJson(plan)}\n`)
  writeAtomically(output, (sink) => sink.write(text))
  return { json: { output, plan, diagnostics }, text: summarizePlanText(plan, output) }
}

const collect = (value: string, list: string[] = []): string[] => [...list, value]
const list = (text: string): string[] => text.split(',').map((s) => s.trim())

const EXAMPLES = `
Examples:
  fewbit quantize model.onnx --data images/ --preset imagenet -o model.int8.onnx
  fewbit quantize model.onnx --data calib.npz --eval-data test.npz --preset cifar10 -o model.int8.onnx
  fewbit quantize model.onnx --data images/ --override 'name=/^fc/:float' --override op=Softmax:float -o model.int8.onnx
  fewbit quantize model.onnx --stop-after plan -o plan.json`

export function quantizeCommand(program: Command, invocation: Invocation): void {
  const { observers, targets } = invocation.registries
  const command = program
    .command('quantize')
    .summary('float ONNX network in, measured int8 network out')
    .description('Calibrates on your data, chooses by measuring, writes a QDQ model and shows what it cost.')
    .argument('<model>', 'the float ONNX file')
    .requiredOption('-o, --output <file>', 'where to write the result')
    .option('--data <path>', 'calibration data: image folder, .npz, .npy, .tar.gz, folder of .npz, or "random"')
    .option('--samples <n>', 'calibration samples, evenly spread over the data (default 128)', positiveInteger)
    .option('--eval-data <path>', 'other data, scored before and after')
    .option('--metric <list>', `comma-separated: ${Object.keys(METRICS).join(', ')}`, list)
    .addOption(new Option('--observer <name>', 'how ranges are chosen').choices(['auto', ...Object.keys(observers)]))
    .addOption(new Option('--target <name>', 'backend').choices(Object.keys(targets)))
    .option('--scheme <scheme>', 'bits of weights and activations (mostly w8a8 by default)')
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
    .addOption(new Option('--activations <codes>', 'codes of activations').choices(['signed', 'unsigned']))
    .option('--override <rule>', 'exception such as name=/^fc/:float or op=Softmax:float; may be repeated', collect)
    .addOption(new Option('--stop-after <stage>', 'write what there is by then').choices(['plan']))
    .option('--batch-size <n>', 'samples per run where the model allows it', positiveInteger)
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
  withDataFlags(command).action(action(invocation, body))
}
