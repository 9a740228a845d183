import { describeOps } from '@fewbit/core/ops'
import type { Registries } from '@fewbit/core/pipeline'
import type { Command } from 'commander'
import { action, type CommandBody, type Invocation } from '../command.ts'
import { table } from '../render/table.ts'

const body =
  ({ ops }: Registries): CommandBody<[]> =>
  async () => {
    const list = describeOps(ops)
    const tick = (is: boolean) => (is ? 'yes' : '')
    const rows = list.map((op) => [
      op.domain ? `${op.domain}::${op.type}` : op.type,
      op.versions.join(', '),
      tick(op.shapes),
      tick(op.values),
      tick(op.macs),
      tick(op.gradient),
      op.roles.join(', '),
      op.traits.join(', '),
    ])
    const head = ['operator', 'versions', 'shapes', 'values', 'MACs', 'gradient', 'inputs', 'traits']
    return { json: list, text: table(head, rows) }
  }

export function opsCommand(program: Command, invocation: Invocation): void {
  program
    .command('ops')
    .summary('the operators that fewbit knows')
    .description(
      'Lists operators with the versions that changed them, what is inferred for them, and how quantization sees their inputs. Others pass through untouched and stay in float.',
    )
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  fewbit ops | grep Conv')
    .action(action(invocation, body(invocation.registries)))
}
