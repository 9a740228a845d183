import {
  allocate,
  type Budget,
  type LatencyTable,
  parseBudget,
  SENSITIVITIES,
  type SensitivityName,
} from '@fewbit/core/pipeline'
import { encodeUtf8, problem } from '@fewbit/core/util'
import { checkWritable, highsSolver, loadModel, writeAtomically } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { positiveInteger, wholeNumber, withDataFlags } from '../data-flags.ts'
import { toJson } from '../output.ts'
import { jsonOf, readText } from '../read-text.ts'
import { renderAllocation } from '../render/allocation.ts'
import { collect, list, withQuantizeFlags } from './quantize-flags.ts'
import { type QuantizeFlags, quantizeOptions } from './quantize-options.ts'

interface Flags extends QuantizeFlags {
  bits: string[]
  budget: string[]
  sensitivity?: SensitivityName | 'auto'
  sensitivitySamples?: number
  points?: number
}

const body: CommandBody<[string, Flags]> = async (cx, file, flags) => {
  checkWritable(flags.output)
  const budgets = flags.budget.map(budgetOf)
  const model = await loadModel(file)
  const { allocation, diagnostics } = await allocate(model, {
    ...(await quantizeOptions(cx, model, flags)),
    bits: flags.bits,
    budgets,
    ...(flags.sensitivity ? { sensitivity: flags.sensitivity } : {}),
    ...(flags.sensitivitySamples ? { sensitivitySamples: flags.sensitivitySamples } : {}),
    ...(flags.points === undefined ? {} : { points: flags.points }),
    solver: highsSolver(),
  })
  const { output } = flags
  const text = encodeUtf8(`${toJson(allocation)}\n`)
  writeAtomically(output, (sink) => sink.write(text))
  return { json: { output, allocation, diagnostics }, text: renderAllocation(allocation, diagnostics, output) }
}

function budgetOf(text: string): Budget {
  const budget = parseBudget(text)
  if (budget.measure !== 'latency') return budget
  const { measure, limit, file } = budget
  return { measure, limit, table: latencyTable(file) }
}

function latencyTable(file: string): LatencyTable {
  const table = jsonOf(readText(file))
  if (typeof table === 'object' && table !== null && !Array.isArray(table)) return table as LatencyTable
  throw problem('LATENCY_TABLE', 'the latency table is no JSON object', {
    at: { file },
    fix: 'give milliseconds of every layer in every choice: { "conv1": { "w4a8": 0.2, "w8a8": 0.3 } }',
  })
}

const EXAMPLES = `
Examples:
  fewbit allocate model.onnx --data calib/ --bits 4,8 --budget size=60% -o mixed.json
  fewbit quantize model.onnx --data calib/ --allocation mixed.json -o model.mixed.onnx
  fewbit allocate model.onnx --data calib/ --bits 8,float --budget macs=10%@8 -o partial.json
  fewbit allocate model.onnx --data calib/ --target academic --bits 1,4,8,16 --budget size=50% --budget bops=60% -o mixed.json
  fewbit allocate model.onnx --data calib/ --bits 4,8 --budget latency=5ms@times.json --eval-data val/ -o mixed.json`

export function allocateCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('allocate')
    .summary('choose the bits of each layer within a budget')
    .description(
      'Measures what each choice of bits costs each layer, minimizes the sum within budgets, and measures the mixed network.',
    )
    .argument('<model>', 'the float ONNX file')
    .requiredOption('-o, --output <file>', 'the allocation as JSON, for quantize --allocation')
    .requiredOption('--bits <list>', 'choices for each layer: bits of weights, schemes such as w4a4, or float', list)
    .requiredOption(
      '--budget <limit>',
      'size=60% (of 8-bit weights), size=1.2MB, bops=50%, macs=30%@4 (above 4 bits) or latency=5ms@table.json; may be repeated',
      collect,
    )
    .addOption(new Option('--sensitivity <name>', 'what is added up').choices(['auto', ...SENSITIVITIES]))
    .option('--sensitivity-samples <n>', 'samples that layers are measured on (default up to 64)', positiveInteger)
    .option('--points <n>', 'budgets to sweep from the least to the most (default 8, 0 for none)', wholeNumber)
    .option('--json', 'print one JSON document')
    .addHelpText('after', EXAMPLES)
  withDataFlags(withQuantizeFlags(command, invocation)).action(action(invocation, body))
}
