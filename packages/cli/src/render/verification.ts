import type { Certificate, EngineOutcome, Outcome } from '@fewbit/core/pipeline'
import { decibel, duration, formatDiagnostic, percent } from '@fewbit/core/util'
import { differenceText, layersText, partingText } from './parting.ts'
import { table } from './table.ts'

/** The certificate in tables; `--json` has all of it. */
export function renderVerification(certificate: Certificate): string {
  const { models, data, fidelity, engines, reference, verdict, diagnostics } = certificate
  const agreement =
    fidelity.agreement === undefined ? '' : `; the same class in ${percent(fidelity.agreement, 0)} of the samples`
  return [
    `engines ${verdict} on ${models.quantized.name}, on ${data.samples} samples of ${data.name}`,
    `quantized against float on ${reference}: SQNR ${decibel(fidelity.sqnr)} on the worst sample${agreement}`,
    '',
    table(
      ['engine', 'version', 'float', 'quantized', 'per sample', 'outputs of the quantized network'],
      engines.map((engine) => row(engine, reference)),
      ['left', 'left', 'left', 'left', 'right', 'left'],
    ),
    ...engines.flatMap(({ name, float, quantized }) => [
      ...outcomeText(`${name}, float network`, float),
      ...outcomeText(`${name}, quantized network`, quantized),
    ]),
    ...(data.synthetic ? ['', 'the data are random numbers: real inputs may behave differently'] : []),
    ...diagnostics.map(formatDiagnostic),
  ].join('\n')
}

function row({ name, library, version, float, quantized }: EngineOutcome, reference: string): string[] {
  const { seconds, outputs } = quantized
  const words = name === reference ? 'the reference' : outputs ? differenceText(outputs) : '–'
  const time = seconds === undefined ? '–' : duration(seconds)
  return [name, `${library} ${version}`, float.verdict, quantized.verdict, time, words]
}

function outcomeText(title: string, { failure, parting, unlocated, layers }: Outcome): string[] {
  if (failure) {
    const cause = failure.cause ? ` (${failure.cause})` : ''
    return ['', `${title}: it does not run${cause}`, `  ${failure.message}`]
  }
  return [
    ...(parting ? ['', `${title}: ${partingText(parting).join('\n')}`] : []),
    ...(unlocated === undefined ? [] : ['', `${title}: the node could not be looked for`, `  ${unlocated}`]),
    ...(layers && layers.length > 0 ? ['', `${title}: every tensor`, ...layersText(layers)] : []),
  ]
}
