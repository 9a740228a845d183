import { why } from '@fewbit/core/pipeline'
import { parseOverride } from '@fewbit/core/quant'
import { loadModel } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'

interface Flags {
  node: string
  target?: string
  scheme?: string
  perTensor?: boolean
  override?: string[]
}

const body: CommandBody<[string, Flags]> = async ({ run }, file, flags) => {
  const result = await why(await loadModel(file), flags.node, {
    ...run,
    ...(flags.target ? { target: flags.target } : {}),
    ...(flags.scheme ? { scheme: flags.scheme } : {}),
    ...(flags.perTensor ? { perTensor: true } : {}),
    overrides: (flags.override ?? []).map(parseOverride),
  })
  return { json: result, text: result.text }
}

const collect = (value: string, list: string[] = []): string[] => [...list, value]

export function whyCommand(program: Command, invocation: Invocation): void {
  program
    .command('why')
    .summary('why a node is, or is not, quantized')
    .description(
      'Explains the decision for one node: the rule, its tensors, and who shares a scale. Of a quantized model it says what the file holds.',
    )
    .argument('<model>', 'the ONNX file, float or quantized')
    .requiredOption('--node <name>', 'name of the node')
    .addOption(new Option('--target <name>', 'backend').choices(Object.keys(invocation.registries.targets)))
    .option('--scheme <scheme>', 'bits of weights and activations (mostly w8a8 by default)')
    .option('--per-tensor', 'one scale per weight tensor')
    .option('--override <rule>', 'exception, as for quantize; may be repeated', collect)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit why model.onnx --node conv1\n  fewbit why model.onnx --node conv1 --target qnn',
    )
    .action(action(invocation, body))
}
