import { lint } from '@fewbit/core/pipeline'
import { parseOverride } from '@fewbit/core/quant'
import { loadModel } from '@fewbit/engine-node'
import { type Command, Option } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { EXIT } from '../failure.ts'
import { renderLint } from '../render/lint.ts'

interface Flags {
  target?: string
  scheme?: string
  override?: string[]
}

const body: CommandBody<[string, Flags]> = async ({ run }, file, { target, scheme, override }) => {
  const result = await lint(await loadModel(file), {
    ...run,
    ...(target ? { target } : {}),
    ...(scheme ? { scheme } : {}),
    overrides: (override ?? []).map(parseOverride),
  })
  return {
    json: { model: file, ...result },
    text: renderLint(result),
    exitCode: result.holds ? EXIT.ok : EXIT.error,
  }
}

const collect = (value: string, list: string[] = []): string[] => [...list, value]

export function lintCommand(program: Command, invocation: Invocation): void {
  program
    .command('lint')
    .summary('what a backend will not like about a network')
    .description(
      'Says what a backend will not quantize, fuse or accept, where, why, and what helps. Needs no data. The exit code is 1 if the backend cannot hold the network at all.',
    )
    .argument('<model>', 'an ONNX file, float or quantized')
    .addOption(
      new Option('--target <name>', 'backend (default that of a quantized model, else onnxruntime)').choices(
        Object.keys(invocation.registries.targets),
      ),
    )
    .option('--scheme <scheme>', "bits of weights and activations (default the backend's)")
    .option('--override <rule>', 'exception, as for quantize; may be repeated', collect)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit lint model.onnx --target qnn\n  fewbit lint model.int8.onnx --target tensorrt',
    )
    .action(action(invocation, body))
}
