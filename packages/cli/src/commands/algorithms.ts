import { type AlgorithmInfo, algorithmNamed, describeAlgorithms } from '@fewbit/core/algorithms'
import type { Registries } from '@fewbit/core/pipeline'
import { must } from '@fewbit/core/util'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { table } from '../render/table.ts'

const body =
  ({ algorithms }: Registries): CommandBody<[string | undefined]> =>
  async (_, name) => {
    const all = describeAlgorithms(algorithms)
    if (name === undefined) return { json: all, text: listText(all) }
    algorithmNamed(name, algorithms)
    const info = must(
      all.find((entry) => entry.name === name),
      name,
    )
    return { json: info, text: detailText(info) }
  }

function listText(all: readonly AlgorithmInfo[]): string {
  const rows = all.map(({ name, stage, options, summary }) => [name, stage, optionsText(options), summary])
  return table(['algorithm', 'stage', 'options', 'what it does'], rows)
}

/** In the form that `--algorithm` takes. */
const optionsText = (options: AlgorithmInfo['options']): string =>
  Object.entries(options)
    .map(([key, { default: value }]) => `${key}=${value}`)
    .join(',')

function detailText({ name, title, stage, summary, source, options }: AlgorithmInfo): string {
  const rows = Object.entries(options).map(([key, { default: value, choices, summary: text }]) => [
    `  ${key}`,
    String(value),
    choices ? choices.join(' | ') : typeof value,
    text,
  ])
  const known = rows.length > 0 ? ['', table(['  option', 'default', 'takes', ''], rows)] : []
  return [`${name}: ${title}`, summary, `stage: ${stage}`, `source: ${source}`, ...known].join('\n')
}

export function algorithmsCommand(program: Command, invocation: Invocation): void {
  program
    .command('algorithms')
    .summary('what can be done about the error, beside choosing ranges')
    .description(
      'Lists algorithms in the order in which they run, or tells all about one. Each has a page in docs/algorithms.',
    )
    .argument('[name]', 'an algorithm')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  fewbit algorithms\n  fewbit algorithms adaround')
    .action(action(invocation, body(invocation.registries)))
}
