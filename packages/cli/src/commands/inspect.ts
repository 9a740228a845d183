import { statSync } from 'node:fs'
import { inspect } from '@fewbit/core/pipeline'
import { loadModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { action, type Invocation } from '../command.ts'
import { renderInspections } from '../render/inspection.ts'

const body = async ({ registries }: Invocation, files: readonly string[]) => {
  const inspected = []
  for (const file of files) {
    const inspection = await inspect(await loadModel(file), registries)
    inspected.push({ file, bytes: statSync(file).size, inspection })
  }
  return { json: inspected, text: renderInspections(inspected) }
}

export function inspectCommand(program: Command, invocation: Invocation): void {
  program
    .command('inspect')
    .summary('operators, opset, parameters, MACs, size, open dimensions')
    .description(
      'Shows what a model is made of, several side by side. Weights are not read, so large files open at once.',
    )
    .argument('<model...>', 'ONNX files')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit inspect model.onnx\n  fewbit inspect model.onnx model.int8.onnx\n  fewbit inspect model.onnx --json',
    )
    .action(action(invocation, (_cx, models: string[]) => body(invocation, models)))
}
