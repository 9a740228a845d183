import type { Difference } from '@fewbit/core/analysis'
import type { Certificate, EngineOutcome, LayerDifference, Outcome, Parting } from '@fewbit/core/pipeline'
import { decibel, duration, figure, formatDiagnostic, percent } from '@fewbit/core/util'
import { STYLE } from '@fewbit/report/page'
import { embedJson, escapeHtml } from './embed.ts'
import { html, type Markup, type Part, tableOf } from './markup.ts'

/** A certificate needs no script: what is drawn is all that there is. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'"

/** The report's page has its sections beside it. */
const NO_NAVIGATION = `body{display:block;max-width:72rem}main>section{margin-block:2rem}td,th{text-align:start;vertical-align:top;padding:.3rem .8rem .3rem 0}
pre{white-space:pre-wrap;overflow-wrap:anywhere}.wide{overflow-x:auto}h1{overflow-wrap:anywhere}caption{position:static;width:auto;height:auto;clip-path:none;text-align:start;color:var(--muted);padding-block-end:.3rem}.digest{overflow-wrap:anywhere;font-family:var(--mono);font-size:.86em}`

/** One HTML file that shows a certificate and needs nothing else: no network, no script, no other file. It holds the JSON, too. */
export function renderCertificate(certificate: Certificate): string {
  const title = `${certificate.models.quantized.name}: fewbit certificate`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="generator" content="fewbit ${escapeHtml(certificate.versions.fewbit)}">
<title>${escapeHtml(title)}</title>
<style>${STYLE}${NO_NAVIGATION}</style>
</head>
<body>
${header(certificate).html}
<main>${sections(certificate).html}</main>
<script type="application/json" id="certificate">${embedJson(certificate)}</script>
</body>
</html>
`
}

const header = ({ models, versions }: Certificate): Markup => html`
<header class="page"><div><h1>${models.quantized.name}</h1>
<p>made from ${models.float.name}; verified by fewbit ${versions.fewbit}</p></div></header>`

function sections(certificate: Certificate): Markup {
  const { engines, verdict } = certificate
  const agrees = verdict === 'agree'
  return html`
<section id="verdict"><h2>Verdict</h2>
<p class="verdict ${agrees ? 'good' : 'bad'}">${agrees ? agreement(certificate) : 'The engines disagree.'}</p>
${certificate.data.synthetic && html`<p class="note">The data are random numbers: real inputs may behave differently.</p>`}
${enginesTable(certificate)}</section>
${engines.flatMap((engine) => findings(engine))}
${subject(certificate)}
${certificate.diagnostics.length > 0 && html`<section id="messages"><h2>Messages</h2><pre>${certificate.diagnostics.map(formatDiagnostic).join('\n')}</pre></section>`}`
}

const agreement = ({ engines, data }: Certificate): string =>
  `${engines.length} engines agree on ${data.samples} samples: every node is within its bound.`

const VERDICTS: Readonly<Record<Outcome['verdict'], string>> = {
  same: 'same',
  rounding: 'single codes differ',
  differs: 'differs',
  failed: 'does not run',
}

function enginesTable({ engines, reference, fidelity }: Certificate): Markup {
  const rows = engines.map(({ name, library, version, float, quantized }) => [
    name === reference ? `${name} (reference)` : name,
    `${library} ${version}`,
    VERDICTS[float.verdict],
    VERDICTS[quantized.verdict],
    quantized.outputs ? differenceText(quantized.outputs) : name === reference ? fidelityText(fidelity) : '–',
    quantized.worst ? quantized.worst.sample : '–',
    quantized.seconds === undefined ? '–' : duration(quantized.seconds),
  ])
  const head = [
    'Engine',
    'Version',
    'Float',
    'Quantized',
    'Outputs of the quantized network',
    'Worst sample',
    'Per sample',
  ]
  return tableOf('Each engine beside the reference', head, rows)
}

const fidelityText = ({ sqnr, agreement: same }: Certificate['fidelity']): string =>
  `${decibel(sqnr)} against float on the worst sample${same === undefined ? '' : `, the same class in ${percent(same, 0)} of the samples`}`

function differenceText({ unit, differing, beyond, worst, elements, sqnr }: Difference): string {
  if (differing === 0) return `equal in all ${elements} elements`
  if (unit === 'peak') return `up to ${figure(worst)} of the peak; ${decibel(sqnr)}`
  return `${differing} of ${elements} codes differ, ${beyond} by more than one, at most ${figure(worst)} steps; ${decibel(sqnr)}`
}

function findings({ name, float, quantized }: EngineOutcome): Markup[] {
  return [...finding(`${name}, float network`, float), ...finding(`${name}, quantized network`, quantized)]
}

function finding(title: string, { failure, parting, unlocated, layers }: Outcome): Markup[] {
  if (!failure && !parting && !layers && unlocated === undefined) return []
  return [
    html`<section><h2>${title}</h2>
${failure && html`<p>It does not run${failure.cause === 'missing-kernel' && ': it has no kernel'}.</p><pre>${failure.message}</pre>`}
${parting && partingText(parting)}
${unlocated !== undefined && html`<p>The node could not be looked for.</p><pre>${unlocated}</pre>`}
${layers && layersTable(title, layers)}</section>`,
  ]
}

const partingText = ({ node, opType, value, alone, accumulated, causes }: Parting): Markup => html`
<p>The first node that differs by more than it may is <code>${node}</code> (${opType}), which makes <code>${value}</code>.</p>
<ul><li>On the reference's inputs: ${differenceText(alone)}</li><li>With all before it: ${differenceText(accumulated)}</li></ul>
${causes.length > 0 ? html`<ul>${causes.map(({ name, text }) => html`<li><strong>${name}</strong>: ${text}</li>`)}</ul>` : html`<p>No known cause fits.</p>`}`

function layersTable(title: string, layers: readonly LayerDifference[]): Markup {
  const rows = layers.map(({ node, opType, accumulated, alone }): Part[] => [
    html`<code>${node}</code>`,
    opType,
    differenceText(accumulated),
    alone ? differenceText(alone) : '–',
  ])
  const head = ['Node', 'Operator', 'With all before it', 'On the same inputs']
  return tableOf(`Every tensor of one sample on ${title}`, head, rows)
}

function subject({ models, data, command }: Certificate): Markup {
  const model = (name: string, { name: file, digest }: Certificate['models']['float']): Part[] => [
    name,
    file,
    html`<span class="digest">${digest}</span>`,
  ]
  const rows = [
    model('float model', models.float),
    model('quantized model', models.quantized),
    ['data', `${data.samples} samples of ${data.name}`, html`<span class="digest">${data.digest}</span>`],
  ]
  return html`<section id="subject"><h2>What was verified</h2>
${tableOf('SHA-256 of the files, and of the tensors of the data', ['What', 'Name', 'SHA-256'], rows)}
${command !== undefined && html`<pre>${command}</pre>`}</section>`
}
