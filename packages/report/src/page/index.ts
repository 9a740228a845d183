import './page.css'
import type { AnalysisReport } from '@fewbit/core/analysis'
import { readEmbedded } from '../embed.ts'
import { comparisonSection, outputsSection } from './comparison.ts'
import { el } from './element.ts'
import { errorChart } from './error-chart.ts'
import { findingsSection } from './findings.ts'
import { layerDrawer, layerInAddress } from './layer-drawer.ts'
import { type LayerRow, layerRows } from './layer-rows.ts'
import { type LayerTable, layerTable } from './layer-table.ts'
import { paretoSection } from './pareto.ts'
import { planSection } from './plan-section.ts'
import { messagesSection, reproduceSection } from './reproduce.ts'
import { type Section, section, unfoldAll } from './section.ts'
import { sensitivitySection } from './sensitivity.ts'
import { summarySection } from './summary.ts'
import { themeButton } from './theme.ts'

function draw(report: AnalysisReport): void {
  const rows = layerRows(report)
  const open = (row: LayerRow): void => drawer.open(row)
  const openNamed = (name: string): void => {
    const row = rows.find((one) => one.name === name)
    if (row) open(row)
  }
  const table = layerTable(rows, open)
  const drawer = layerDrawer(rows, report, table.visible)
  const sections = [
    summarySection(report),
    findingsSection(report, openNamed),
    comparisonSection(report),
    outputsSection(report),
    errorSection(rows, open),
    layersSection(rows, table),
    sensitivitySection(report, openNamed),
    paretoSection(report),
    planSection(report),
    reproduceSection(report),
    messagesSection(report),
  ].filter((one) => one !== undefined)
  document.body.append(
    header(report),
    navigation(sections),
    el('main', {}, ...sections.map(({ element }) => element)),
    drawer.element,
  )
  unfoldForPaper()
  const named = layerInAddress(rows)
  if (named) open(named)
}

function header({ model }: AnalysisReport): HTMLElement {
  const title = model ? model.quantized.name : 'Quantized network'
  const subject = model
    ? `made from ${model.float.name} for ${model.target}, ${model.scheme}`
    : 'compared with its float network'
  return el('header', { class: 'page' }, el('div', {}, el('h1', {}, title), el('p', {}, subject)), themeButton())
}

const navigation = (sections: readonly Section[]): HTMLElement =>
  el('nav', { 'aria-label': 'Sections' }, ...sections.map(({ id, title }) => el('a', { href: `#${id}` }, title)))

function errorSection(rows: readonly LayerRow[], open: (row: LayerRow) => void): Section | undefined {
  const measured = rows.filter(({ layer }) => layer?.graphwise ?? layer?.isolated)
  if (measured.length < 2) return undefined
  return section(
    'errors',
    'Error by layer',
    'Where in the network the error arises and how it adds up; layers that are exact, or broken, have no point.',
    errorChart(rows, open),
  )
}

function layersSection(rows: readonly LayerRow[], { element }: LayerTable): Section | undefined {
  if (rows.length === 0) return undefined
  return section(
    'layers',
    'Layers',
    'Each layer with its errors and the share of elements that its codes lose; a heading sorts, a row opens the details.',
    element,
  )
}

/** Whatever is folded is drawn and opened for paper, and folded again after. */
function unfoldForPaper(): void {
  let fold = (): void => {}
  addEventListener('beforeprint', () => {
    fold = unfoldAll()
  })
  addEventListener('afterprint', () => fold())
}

draw(readEmbedded(document.getElementById('analysis')?.textContent ?? '') as AnalysisReport)
