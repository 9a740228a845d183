import {
  type ClimbResult,
  climb,
  type Export,
  exportArtifacts,
  type Ladder,
  planModel,
  type QuantizeResult,
  quantize,
} from '@fewbit/core/pipeline'
import { encodeUtf8 } from '@fewbit/core/util'
import { checkWritable, writeAtomically } from '@fewbit/engine-node'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { artifactName, destinationFor, formsFor, type Written } from '../artifacts.ts'
import { checkpointFile, checkpointPath, withCheckpoint } from '../checkpoint-file.ts'
import { action, type CommandBody, type CommandResult, type Invocation } from '../command.ts'
import { positiveInteger, withDataFlags } from '../data-flags.ts'
import { EXIT } from '../failure.ts'
import { loadFixed, withFixedInputs } from '../fixed-inputs.ts'
import { climbing } from '../ladder.ts'
import { toJson } from '../output.ts'
import { loadRecipe } from '../recipe-file.ts'
import { renderLadder } from '../render/ladder.ts'
import { summarizePlanText } from '../render/plan.ts'
import { renderQuantization } from '../render/quantization.ts'
import { writeResult } from '../write-result.ts'
import { collect, withQuantizeFlags } from './quantize-flags.ts'
import { planOptions, type QuantizeFlags, quantizeOptions, replayOptions } from './quantize-options.ts'

const body: CommandBody<[string, QuantizeFlags]> = async (cx, file, flags) => {
  const model = await loadFixed(file, flags)
  if (flags.stopAfter === 'plan') {
    checkWritable(flags.output)
    return writePlan(await planModel(model, planOptions(cx, flags)), flags.output)
  }
  const destination = destinationFor(flags.output, file)
  const forms = formsFor(destination, flags.exporter, cx.run)
  const recipe = flags.recipe === undefined ? undefined : await loadRecipe(flags.recipe)
  const asked = recipe ? await replayOptions(cx, model, recipe, flags) : await quantizeOptions(cx, model, flags)
  const checkpoint = checkpointFile(flags.checkpoint ?? checkpointPath(flags.output, 'quantize'))
  const options = { ...asked, checkpoint, resume: flags.resume ?? false }
  return withCheckpoint(checkpoint, { keep: flags.keepCheckpoint, console: cx.console }, async () => {
    const result =
      flags.maxDrop === undefined ? await quantize(model, options) : await climb(model, climbing(options, flags))
    const exported = exportArtifacts(result, { ...forms, name: artifactName(file) })
    const written = await writeResult(result, exported, destination)
    return report(file, result, exported, written)
  })
}

function report(input: string, result: QuantizeResult, exported: Export, written: Written): CommandResult {
  const peakMemory = process.resourceUsage().maxRSS * 1024
  const { plan, recipe, trace } = result
  const ladder = 'ladder' in result ? (result as ClimbResult).ladder : undefined
  const { output, files } = written
  const diagnostics = [...result.diagnostics, ...exported.diagnostics, ...written.diagnostics]
  const json = {
    input,
    output,
    ...(files ? { files } : {}),
    exporters: exported.exporters,
    report: { ...result.report, peakMemory },
    ...(ladder ? { ladder } : {}),
    plan,
    recipe,
    trace,
    diagnostics,
  }
  const text = renderQuantization({ output, files, result: { ...result, diagnostics }, peakMemory })
  return ladder ? withLadder({ json, text }, ladder) : { json, text }
}

/** A floor that was missed is no error: the best network is written all the same. */
const withLadder = (result: CommandResult, ladder: Ladder): CommandResult => ({
  ...result,
  text: `${renderLadder(ladder)}\n\n${result.text}`,
  exitCode: ladder.met ? EXIT.ok : EXIT.floorMissed,
})

function writePlan(result: Awaited<ReturnType<typeof planModel>>, output: string): CommandResult {
  const { plan, diagnostics } = result
  const text = encodeUtf8(`${toJson(plan)}\n`)
  writeAtomically(output, (sink) => sink.write(text))
  return { json: { output, plan, diagnostics }, text: summarizePlanText(plan, output) }
}

/** @throws InvalidArgumentError unless it is two numbers, the smaller one first. */
function inputRange(text: string): readonly [number, number] {
  const [lo, hi, ...more] = text.split(',').map(Number)
  if (lo !== undefined && hi !== undefined && more.length === 0 && lo < hi && Number.isFinite(hi - lo)) return [lo, hi]
  throw new InvalidArgumentError('Write the least and the greatest number, such as 0,1.')
}

const EXAMPLES = `
Examples:
  fewbit quantize model.onnx --data images/ --preset imagenet -o model.int8.onnx
  fewbit quantize model.onnx --data calib.npz --eval-data test.npz --preset cifar10 -o model.int8.onnx
  fewbit quantize model.onnx --data images/ --override 'name=/^fc/:float' --override op=Softmax:float -o model.int8.onnx
  fewbit quantize model.onnx --data images/ --target onnxruntime-web -o out/
  fewbit quantize model.onnx --recipe out/recipe.json --data images/ -o again/
  fewbit quantize model.onnx --data calib/ --eval-data val/ --max-drop 0.5 -o model.int8.onnx
  fewbit quantize model.onnx --data calib/ --scheme w4a8 --algorithm cle --algorithm bias-correction -o model.int4.onnx
  fewbit quantize model.onnx --data calib/ --scheme w4a4 --target academic --algorithm qdrop --resume -o model.int4.onnx
  fewbit quantize model.onnx --data calib/ --allocation mixed.json -o model.mixed.onnx
  fewbit quantize model.onnx --data-free --input-range 0,1 --algorithm cle --algorithm bias-correction:analytic -o model.int8.onnx
  fewbit quantize model.onnx --data distilled --input-range 0,1 --samples 64 -o model.int8.onnx
  fewbit quantize model.onnx --stop-after plan -o plan.json`

export function quantizeCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('quantize')
    .summary('float ONNX network in, measured int8 network out')
    .description('Calibrates on your data, chooses by measuring, writes a QDQ model and shows what it cost.')
    .argument('<model>', 'the float ONNX file')
    .requiredOption('-o, --output <path>', 'a .onnx file, or a folder for all that the backend reads')
    .addOption(
      new Option('--data-free', 'no data: ranges from what BatchNormalization remembers of training').conflicts([
        ...['data', 'samples', 'maxDrop'],
      ]),
    )
    .option(
      '--input-range <lo,hi>',
      'with --data-free and --data distilled: range of the inputs, after preprocessing',
      inputRange,
    )
    .option('--exporter <name>', 'form to write; may be repeated (default those of the backend)', collect)
    .option('--recipe <file>', 'repeat an earlier run: recipe.json, or a model that fewbit quantized')
    .option('--allow-other-data', 'with --recipe: take data that are not those of the recipe')
    .option('--allocation <file>', 'schemes of single nodes, as fewbit allocate wrote them')
    .option('--float-worst <k>', 'leave the k layers in float that lose most by themselves', positiveInteger)
    .option(
      '--max-drop <drop>',
      'climb to stronger methods until the score drops by no more: 0.5 (units of the metric) or 1% (of the float score)',
    )
    .option('--checkpoint <file>', 'of brecq, qdrop and adaquant; default: NAME.quantize.safetensors beside the output')
    .option('--resume', 'go on behind the last finished block, to the same result as without a stop')
    .option('--keep-checkpoint', 'leave the checkpoint when all is done')
    .addOption(new Option('--stop-after <stage>', 'write what there is by then').choices(['plan']))
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
  withDataFlags(withQuantizeFlags(withFixedInputs(command), invocation)).action(action(invocation, body))
}
