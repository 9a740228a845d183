// The parts of docs/targets/ that follow from the tables of backends.
import type { Target } from '@fewbit/core/quant'
import { describeTarget, TARGETS } from '@fewbit/core/targets'
import { table } from './tables.ts'

/** The rules of one backend as its page shows them. */
export function targetRules(target: Target): string {
  const { facts, operators, fusions } = describeTarget(target)
  const list = facts.filter(([label]) => label !== 'page').map(([label, text]) => `- **${label}**: ${text}`)
  const rules = operators.map(({ types, rule }) => [types.map((t) => `\`${t}\``).join(' '), rule])
  const chains = new Map<string, string[]>()
  for (const { hosts, chain } of fusions) {
    const names = hosts.join(', ')
    chains.set(names, [...(chains.get(names) ?? []), chain])
  }
  const groups = [...chains].map(([hosts, each]) => `- ${hosts} with ${each.join(', ')} behind it`)
  const fused = groups.length > 0 ? ['', 'One kernel runs, without quantizers inside:', '', ...groups] : []
  return [...list, '', table(['operators', 'rule'], rules), ...fused].join('\n')
}

/** The index of all backends. */
export function targetsIndex(): string {
  const rows = Object.values<Target>(TARGETS).map((target) => {
    const facts = Object.fromEntries(describeTarget(target).facts)
    const page = `[\`${target.name}\`](${target.source.replace('docs/', '')})`
    return [
      page,
      target.title,
      facts.activations ?? '',
      facts.weights ?? '',
      target.exporters.join(', '),
      facts.checked ?? '',
    ]
  })
  return table(['target', 'backend', 'activations', 'weights', 'writes', 'checked'], rows)
}
