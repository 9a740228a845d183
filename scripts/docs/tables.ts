// The parts of docs/ that follow from registries.

import { describeAlgorithms } from '@fewbit/core/algorithms'
import { describeFakeQuantizers, type FakeQuantizerInfo } from '@fewbit/core/fake-quantizers'
import { SCHEMES } from '@fewbit/core/integer'
import { describeObservers } from '@fewbit/core/observers'
import { defaultOps, describeOps, type OpDescription } from '@fewbit/core/ops'
import { optimizePasses, PASSES, type Pass, quantizePreparePasses } from '@fewbit/core/passes'
import { describeZoo } from '@fewbit/core/zoo'

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(row)].join('\n')
}

const tick = (condition: boolean): string => (condition ? '✓' : '')

/** Every pass in the order in which it runs, and who runs it. */
export function passTable(): string {
  const rows = Object.values<Pass>(PASSES).map((pass) => [
    `\`${pass.name}\``,
    pass.summary,
    tick(optimizePasses.includes(pass)),
    tick(quantizePreparePasses.includes(pass)),
  ])
  return table(['pass', 'what it does', '`optimize`', 'before `quantize`'], rows)
}

/** Every observer, with a link to its page. */
export function observerTable(): string {
  const rows = describeObservers().map(({ name, summary, statistics, options }) => [
    `[${name}](observers/${name}.md)`,
    summary,
    statistics.join(', '),
    Object.entries(options)
      .map(([option, value]) => `\`${option}=${value}\``)
      .join(' '),
  ])
  return table(['observer', 'range', 'statistics', 'options'], rows)
}

/** Every algorithm in the order in which they run, with a link to its page. */
export function algorithmTable(): string {
  const rows = describeAlgorithms().map(({ name, stage, summary, options }) => [
    `[${name}](algorithms/${name}.md)`,
    stage,
    summary,
    Object.entries(options)
      .map(([option, { default: value }]) => `\`${option}=${value}\``)
      .join(' '),
  ])
  return table(['algorithm', 'stage', 'what it does', 'options'], rows)
}

/** Every fake-quantizer, with a link to its page. */
export function fakeQuantizerTable(): string {
  const rows = describeFakeQuantizers().map(({ name, roles, summary }) => [
    `[${name}](fake-quantizers/${name}.md)`,
    roles.map((role) => `${role}s`).join(', '),
    summary,
  ])
  return table(['fake-quantizer', 'for', 'what it does'], rows)
}

/** What stands at the top of a fake-quantizer's page: where it stands, where it is from, and its options. */
export function fakeQuantizerFacts({ roles, source, options }: FakeQuantizerInfo): string {
  const head = `For ${roles.map((role) => `${role}s`).join(' and ')}. Source: ${source}.`
  const rows = Object.entries(options).map(([name, { default: value, choices, summary }]) => [
    `\`${name}\``,
    `\`${value}\``,
    choices ? `${summary}: ${choices.map((choice) => `\`${choice}\``).join(', ')}` : summary,
  ])
  return rows.length > 0 ? `${head}\n\n${table(['option', 'default', 'meaning'], rows)}` : `${head} No options.`
}

/** Every network of the zoo. */
export function zooTable(): string {
  const rows = describeZoo().map(({ name, title, input, classes, parameters, macs, preset, names }) => [
    `\`${name}\``,
    title,
    input.join('×'),
    preset ? `\`${preset}\`` : '',
    String(classes),
    parameters.toLocaleString('en'),
    macs.toLocaleString('en'),
    names,
  ])
  return table(['network', '', 'input', 'preset', 'classes', 'parameters', 'multiply-accumulates', 'names of'], rows)
}

/** Every arithmetic that a network can be run in. */
export function arithmeticTable(): string {
  const rows = Object.values(SCHEMES).map(({ name, title, summary, source }) => [`\`${name}\``, title, summary, source])
  return table(['name', 'hardware', 'how sums become codes', 'source'], rows)
}

const DOMAINS: readonly (readonly [string, string])[] = [
  ['', 'ai.onnx'],
  ['com.microsoft', 'com.microsoft'],
]

/** The page of all operators. */
export function operatorsPage(): string {
  const all = describeOps(defaultOps)
  const sections = DOMAINS.map(([domain, title]) => {
    const ops = all.filter((op) => op.domain === domain)
    return `## ${title}: ${ops.length}\n\n${operatorTable(ops)}\n`
  })
  return `${OPERATORS_HEAD}\n${sections.join('\n')}`
}

function operatorTable(ops: readonly OpDescription[]): string {
  const rows = ops.map((op) => [
    op.type,
    op.versions.join(', ') + (op.deprecated === undefined ? '' : ` (until ${op.deprecated - 1})`),
    tick(op.shapes),
    tick(op.values),
    tick(op.macs),
    tick(op.gradient),
    op.roles.join(', '),
    op.traits.join(', '),
  ])
  return table(['operator', 'versions', 'shapes', 'values', 'MACs', 'gradient', 'inputs', 'traits'], rows)
}

const OPERATORS_HEAD = `# Operators

Written by \`npm run docs\` from \`packages/core/src/ops/defs\`; a test checks that it is current.

An operator that is not listed passes through untouched and stays in float. *Versions* are the opsets in which the definition
changed. *Shapes*: types and shapes of outputs are inferred. *Values*: small results of shape arithmetic are computed. *MACs*:
multiply-accumulates are counted. *Gradient*: it can be differentiated ([autodiff](autodiff.md)). *Inputs*: how quantization sees each input, the last role repeating where inputs are variadic;
inputs that are not listed are parameters, which are never quantized. *Traits*: structural facts that shared code asks for
(\`packages/core/src/ops/traits.ts\` says what each means). Whether a backend runs an operator in integers is the target's
business: see [targets/onnxruntime.md](targets/onnxruntime.md).
`

const START = '<!-- table: npm run docs -->'
const END = '<!-- end -->'

/** A page with the text between its two marks replaced. */
export function withTable(page: string, text: string): string {
  const [start, end] = [page.indexOf(START), page.indexOf(END)]
  if (start < 0 || end < start) throw new Error('the page has no place for a table')
  return `${page.slice(0, start + START.length)}\n\n${text}\n\n${page.slice(end)}`
}
