import { statSync } from 'node:fs'
import { type OptimizeResult, optimize } from '@fewbit/core/pipeline'
import { bytes, count, formatDiagnostic } from '@fewbit/core/util'
import { checkWritable, saveModel } from '@fewbit/engine-node'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { type FixedInputFlags, loadFixed, withFixedInputs } from '../fixed-inputs.ts'
import { table } from '../render/table.ts'

interface Flags extends FixedInputFlags {
  output: string
  passes?: string[]
  trace?: boolean
}

const body: CommandBody<[string, Flags]> = async ({ run }, input, flags) => {
  const model = await loadFixed(input, flags)
  checkWritable(flags.output)
  const result = await optimize(model, { ...run, ...(flags.passes ? { passes: flags.passes } : {}) })
  await saveModel(result.model, flags.output)
  const sizes = { before: statSync(input).size, after: statSync(flags.output).size }
  const { before, after, trace, diagnostics, seconds } = result
  return {
    json: { input, output: flags.output, bytes: sizes, before, after, trace, diagnostics, seconds },
    text: render(result, sizes, flags),
  }
}

function render(
  { before, after, trace, diagnostics }: OptimizeResult,
  size: { before: number; after: number },
  flags: Flags,
) {
  const types = new Set([...Object.keys(before.operators), ...Object.keys(after.operators)])
  const changed = [...types].filter((type) => before.operators[type] !== after.operators[type])
  const rows = [
    ['file size', bytes(size.before), bytes(size.after)],
    ['nodes', String(before.nodes), String(after.nodes)],
    ['parameters', count(before.parameters), count(after.parameters)],
    ['MACs', count(before.macs), count(after.macs)],
    ...changed.map((type) => [`  ${type}`, String(before.operators[type] ?? 0), String(after.operators[type] ?? 0)]),
  ]
  const parts = [table(['', 'before', 'after'], rows, ['left', 'right', 'right']), '', firedText(trace)]
  if (flags.trace) parts.push(...trace.map((e) => `${e.kind} ${e.pass} at ${e.node}: ${e.text}`))
  parts.push(...diagnostics.map(formatDiagnostic), `wrote ${flags.output}`)
  return parts.filter((part, i) => part !== '' || i === 1).join('\n')
}

function firedText(trace: OptimizeResult['trace']): string {
  const counts = new Map<string, number>()
  for (const event of trace) if (event.kind === 'fired') counts.set(event.pass, (counts.get(event.pass) ?? 0) + 1)
  const list = [...counts].map(([pass, n]) => `${pass} ×${n}`)
  return list.length > 0 ? `applied: ${list.join(', ')}` : 'nothing to simplify'
}

export function optimizeCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command('optimize')
    .summary('fold BatchNorm and constants, remove identities; same outputs')
    .description('Rewrites a model into a smaller one that computes the same.')
    .argument('<model>', 'ONNX file')
    .requiredOption('-o, --output <file>', 'where to write the result')
    .option('--passes <list>', 'only these passes, in this order', (text: string) =>
      text.split(',').map((s) => s.trim()),
    )
    .option('--trace', 'list what every rule changed, and why others declined')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  fewbit optimize model.onnx -o slim.onnx\n  fewbit optimize model.onnx -o slim.onnx --passes fold-batchnorm,dead-code --trace\n  fewbit optimize model.onnx --fix-input sr=16000 -o fixed.onnx',
    )
  withFixedInputs(command).action(action(invocation, body))
}
