import type { AnalysisReport } from '@fewbit/core/analysis'
import { renderReport } from '@fewbit/report'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chromiumPath } from './browser.ts'
import { background, Pages, violations } from './pages.ts'
import { sampleAnalysis } from './sample-analysis.ts'

// `apt-get install chromium`, or CHROMIUM_PATH.
describe.skipIf(chromiumPath === undefined)('the report in Chromium, from a file', () => {
  const report = sampleAnalysis()
  const pages = new Pages()
  const { complaints, requests } = pages
  beforeAll(() => pages.start())
  afterAll(() => pages.end())

  const open = (shown: AnalysisReport, options: BrowserContextOptions = {}) => pages.open(renderReport(shown), options)
  const names = (page: Page) => page.locator('#layers tbody th').allTextContents()

  it('draws every part, asks nobody for anything, and runs nothing that names hold', async () => {
    const page = await open(report)
    expect(await page.locator('main h2').allTextContents()).toEqual([
      ...['Summary', 'Findings', 'Float and quantized', 'Outputs', 'Error by layer', 'Layers', 'Sensitivity'],
      ...['Size against accuracy', 'Plan', 'Reproduce', 'Messages'],
    ])
    expect(await page.locator('main > section > .says').count()).toBe(11)
    await page.locator('#errors svg').waitFor()
    expect(await page.evaluate('globalThis.broken')).toBeUndefined()
    expect(complaints).toEqual([])
    expect(requests.filter((url) => !url.startsWith('file:'))).toEqual([])
    expect(requests).toHaveLength(1)
    await page.close()
  })

  it('leaves out what there is nothing to say about', async () => {
    const { format, version, versions, data, outputs } = report
    const page = await open({ format, version, versions, data, outputs, layers: [], diagnostics: [] })
    expect(await page.locator('main h2').allTextContents()).toEqual(['Summary', 'Outputs', 'Reproduce'])
    expect(complaints).toEqual([])
    await page.close()
  })

  it('sorts the layers by a heading, up and down', async () => {
    const page = await open(report)
    const worst = report.layers.filter(({ isolated }) => isolated).sort((a, b) => a.isolated!.sqnr - b.isolated!.sqnr)
    const head = page.getByRole('columnheader', { name: 'isolated' })
    await head.getByRole('button').click()
    expect((await names(page)).slice(0, worst.length)).toEqual(worst.map(({ node }) => node))
    expect(await head.getAttribute('aria-sort')).toBe('ascending')
    await head.getByRole('button').click()
    expect((await names(page)).slice(0, worst.length)).toEqual(worst.map(({ node }) => node).reverse())
    await page.close()
  })

  it('finds layers by name, operator and threshold, and says how many there are', async () => {
    const page = await open(report)
    await page.getByRole('searchbox').fill('maxpool')
    const pools = report.layers.filter(({ opType }) => opType === 'MaxPool').map(({ node }) => node)
    expect(await names(page)).toEqual(pools)
    expect(await page.locator('#layers output').textContent()).toBe(`${pools.length} of 41 rows`)
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByLabel('Operator').selectOption('Conv')
    await page.getByLabel('SQNR at most').fill('40')
    const low = report.layers.filter((l) => l.opType === 'Conv' && (l.graphwise!.sqnr <= 40 || l.isolated!.sqnr <= 40))
    expect(low.length).toBeGreaterThan(2)
    expect(await names(page)).toEqual(low.map(({ node }) => node))
    await page.close()
  })

  it('opens the details of a layer by a click, from the chart too, and by keys alone', async () => {
    const page = await open(report)
    const drawer = page.getByRole('dialog')
    await page
      .locator('#layers tbody tr', { hasText: 'Conv_2' })
      .first()
      .click({ position: { x: 300, y: 10 } })
    await drawer.getByRole('heading', { name: 'Conv_2', exact: true }).waitFor()
    await drawer.locator('svg[aria-label="Histogram of Conv_2.weight"] rect').first().waitFor()
    await drawer.locator('svg[aria-label="Ranges of the channels of Conv_2.weight"]').waitFor()
    expect(page.url()).toContain('#layer=Conv_2')
    await page.keyboard.press('ArrowRight')
    await drawer.getByRole('heading', { name: 'Add_3', exact: true }).waitFor()
    await page.keyboard.press('Escape')
    expect(await drawer.count()).toBe(0)
    await page.locator('#errors svg').click()
    await drawer.waitFor()
    await page.keyboard.press('Escape')
    const name = page.locator('#layers').getByRole('button', { name: 'Conv_6', exact: true })
    await name.focus()
    await page.keyboard.press('Enter')
    await drawer.getByRole('heading', { name: 'Conv_6', exact: true }).waitFor()
    await page.keyboard.press('Escape')
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Conv_6')
    expect(complaints).toEqual([])
    await page.close()
  })

  it('follows the theme of the system and the button, with contrast enough in both', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      // Every kind of element once: the checks take their time for each.
      const page = await open(sampleAnalysis(6), { colorScheme })
      const system = await background(page)
      expect(system).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(16, 20, 26)')
      expect(await violations(page)).toEqual([])
      await page.locator('#layers').getByRole('button', { name: 'Conv_2', exact: true }).click()
      await page.getByRole('dialog').locator('svg').first().waitFor()
      expect(await violations(page)).toEqual([])
      await page.keyboard.press('Escape')
      const themes = [await background(page)]
      for (let i = 0; i < 2; i++) {
        await page.getByRole('button', { name: /^Theme/ }).click()
        themes.push(await background(page))
      }
      expect(themes).toEqual([system, 'rgb(255, 255, 255)', 'rgb(16, 20, 26)'])
      await page.close()
    }
  })

  it('goes to paper in light with all parts open, and is not wider than a phone', async () => {
    const page = await open(report, { colorScheme: 'dark', viewport: { width: 390, height: 844 } })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
    await page.emulateMedia({ media: 'print' })
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(await background(page)).toBe('rgb(255, 255, 255)')
    expect(await page.locator('details:not([open])').count()).toBe(0)
    expect(await page.getByRole('table', { name: 'Nodes of the plan' }).locator('tbody tr').count()).toBe(40)
    expect(await page.getByRole('navigation').isVisible()).toBe(false)
    await page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(await page.locator('details[open]').count()).toBe(0)
    expect((await page.pdf()).length).toBeGreaterThan(20_000)
    await page.close()
  })

  it('stays quick with a thousand layers', async () => {
    const large = sampleAnalysis(1000)
    expect(renderReport(large).length).toBeGreaterThan(1e6)
    const page = await open(large)
    await page.locator('#errors svg').waitFor()
    expect(await names(page)).toHaveLength(250)
    await page.getByRole('searchbox').fill('Conv_998')
    expect(await names(page)).toEqual(['Conv_998'])
    await page.locator('#layers').getByRole('button', { name: 'Conv_998' }).click()
    await page.getByRole('dialog').locator('svg').first().waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('searchbox').fill('')
    await page.getByRole('button', { name: 'Show all 1001 rows' }).click()
    expect(await names(page)).toHaveLength(1001)
    expect(complaints).toEqual([])
    await page.close()
  })
})
