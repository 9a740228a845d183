import type { Registries } from '@fewbit/core/pipeline'
import type { Target } from '@fewbit/core/quant'
import { brieflyText, describeTarget, findTarget } from '@fewbit/core/targets'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { table } from '../render/table.ts'

const body =
  ({ targets }: Registries): CommandBody<[string | undefined]> =>
  async (_, name) => {
    if (name === undefined) {
      const all = Object.values(targets)
      return { json: all.map(summary), text: renderAll(all) }
    }
    const target = findTarget(name, targets)
    return { json: { ...target, description: describeTarget(target) }, text: renderOne(target) }
  }

const factsOf = (target: Target) => Object.fromEntries(describeTarget(target).facts)

function summary(target: Target) {
  const { name, title, exporters, minOpset, source } = target
  const { activations, weights, scheme, checked } = factsOf(target)
  return { name, title, activations, weights, scheme, exporters, minOpset, checked, source }
}

function renderAll(targets: readonly Target[]): string {
  const rows = targets.map((target) => {
    const activations = target.bits.activations.length > 0 ? brieflyText(target.activations) : 'float'
    return [target.name, target.title, activations, brieflyText(target.weights), target.exporters[0] ?? '']
  })
  return [
    table(['target', 'backend', 'activations', 'weights', 'writes'], rows),
    '',
    'all rules of one of them: fewbit targets <name>',
  ].join('\n')
}

function renderOne(target: Target): string {
  const { facts, operators, fusions } = describeTarget(target)
  const fused = fusions.map(({ hosts, chain }) => `  ${hosts.join(', ')} → ${chain}`)
  return [
    `${target.name}: ${target.title}`,
    table(
      [],
      facts.map((fact) => [...fact]),
    ),
    '',
    'operators',
    ...operators.map(({ types, rule }) => `  ${types.join(', ')}\n    ${rule}`),
    ...(fused.length > 0 ? ['', 'one kernel runs, without quantizers inside', ...fused] : []),
  ].join('\n')
}

export function targetsCommand(program: Command, invocation: Invocation): void {
  program
    .command('targets')
    .summary('the backends, and the rules of one of them')
    .description('Lists the backends that fewbit quantizes for; with a name, everything that its table says.')
    .argument('[name]', 'show this backend in full')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  fewbit targets\n  fewbit targets onnxruntime')
    .action(action(invocation, body(invocation.registries)))
}
