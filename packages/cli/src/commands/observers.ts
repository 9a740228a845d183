import { describeObservers, type ObserverInfo } from '@fewbit/core/observers'
import type { Registries } from '@fewbit/core/pipeline'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { table } from '../render/table.ts'

const body =
  ({ observers }: Registries): CommandBody<[]> =>
  async () => {
    const list = describeObservers(observers)
    const rows = list.map((info) => [info.name, info.statistics.join(', '), optionsText(info), info.summary])
    return { json: list, text: table(['observer', 'statistics', 'options', 'range'], rows) }
  }

/** In the form that `--observer-option` takes. */
const optionsText = ({ options }: ObserverInfo): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')

export function observersCommand(program: Command, invocation: Invocation): void {
  program
    .command('observers')
    .summary('the ways to choose ranges')
    .description(
      'Lists observers with what calibration collects for them beside extremes, and their options with defaults. Each has a page in docs/observers.',
    )
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  fewbit observers\n  fewbit observers --plugin ./my-plugin.js')
    .action(action(invocation, body(invocation.registries)))
}
