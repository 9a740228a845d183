import { type ExportedModel, exportArtifacts, exportModel, quantize } from '@fewbit/core/pipeline'
import { parseOverride, summarizePlan } from '@fewbit/core/quant'
import { formatDiagnostic } from '@fewbit/core/util'
import { loadModel } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { artifactName, destinationFor, formsFor, type Written, writeExport } from '../artifacts.ts'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { loadRecipe } from '../recipe-file.ts'
import { integerShareText } from '../render/plan.ts'
import { wroteText } from '../render/quantization.ts'
import { table } from '../render/table.ts'
import { type QuantizeFlags, replayOptions } from './quantize-options.ts'

type Flags = Pick<
  QuantizeFlags,
  'data' | 'output' | 'target' | 'exporter' | 'recipe' | 'allowOtherData' | 'scheme' | 'override' | 'skipUnreadable'
>

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  const model = await loadModel(file)
  const destination = destinationFor(flags.output, file)
  const options = { ...formsFor(destination, flags.exporter, cx.run), name: artifactName(file) }
  const { target, scheme, override } = flags
  let exported: ExportedModel
  if (flags.recipe === undefined) {
    const overrides = (override ?? []).map(parseOverride)
    const anew = { ...(target ? { target } : {}), ...(scheme ? { scheme } : {}), overrides }
    exported = await exportModel(model, { ...cx.run, ...options, ...anew })
  } else {
    const result = await quantize(model, await replayOptions(cx, model, await loadRecipe(flags.recipe), flags))
    const { artifacts, exporters, diagnostics } = exportArtifacts(result, options)
    const all = [...result.diagnostics, ...diagnostics]
    exported = { artifacts, exporters, diagnostics: all, plan: result.plan, recipe: result.recipe }
  }
  const written = await writeExport(exported, destination, exported)
  return report(file, exported, written)
}

function report(input: string, { plan, exporters, recipe, diagnostics }: ExportedModel, written: Written) {
  const { output, files } = written
  const said = [...diagnostics, ...written.diagnostics]
  const { nodes, integerShare } = summarizePlan(plan)
  const rows = [
    ['target', plan.target],
    ['scheme', plan.scheme],
    ['nodes', `${nodes.integer} integer, ${nodes.fused} fused, ${nodes.quantized} quantized, ${nodes.float} float`],
    ['MACs in integers', integerShareText(integerShare)],
    ['forms', exporters.join(', ')],
  ]
  const shown = said.filter((d) => d.level !== 'info' || d.code === 'EXPORT_SKIPPED')
  return {
    json: {
      input,
      output,
      ...(files ? { files } : {}),
      exporters,
      plan,
      ...(recipe ? { recipe } : {}),
      diagnostics: said,
    },
    text: [table([], rows), ...shown.map(formatDiagnostic), wroteText(output, files)].join('\n'),
  }
}

const collect = (value: string, list: string[] = []): string[] => [...list, value]

const EXAMPLES = `
Examples:
  fewbit export model.int8.onnx --target onnxruntime-web -o out/
  fewbit export model.int8.onnx --exporter qoperator -o model.qop.onnx
  fewbit export model.onnx --recipe recipe.json --data images/ --target onnxruntime-arm -o out/`

export function exportCommand(program: Command, invocation: Invocation): void {
  program
    .command('export')
    .summary("a quantized network in a backend's own form")
    .description(
      'Takes a quantized model, whoever quantized it, and writes what a backend reads; for another backend the plan is made anew from the ranges that the file holds. With --recipe and --data it takes the float model.',
    )
    .argument('<model>', 'a quantized ONNX file; with --recipe the float one')
    .requiredOption('-o, --output <path>', 'a file, or a folder for all that the backend reads')
    .addOption(
      new Option('--target <name>', 'backend (default the one it was quantized for)').choices(
        Object.keys(invocation.registries.targets),
      ),
    )
    .option('--exporter <name>', 'form to write; may be repeated (default those of the backend)', collect)
    .option('--scheme <scheme>', "bits of weights and activations (default the backend's)")
    .option('--override <rule>', 'exception, as for quantize; may be repeated', collect)
    .option('--recipe <file>', 'recipe.json, or a model that fewbit quantized: calibrates the float model as it says')
    .option('--data <path>', 'with --recipe: the calibration data')
    .option('--allow-other-data', 'with --recipe: take data that are not those of the recipe')
    .option('--skip-unreadable', 'leave images out that cannot be read, with a warning each')
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
    .action(action(invocation, body))
}
