import type { Engine } from '@fewbit/core/engine'
import { type Certificate, verify } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { renderCertificate } from '@fewbit/report'
import { faultyEngine, memoryData, PLANTED_FAULTS, plantedInputs, plantedNetwork } from '@fewbit/testkit'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chromiumPath } from './browser.ts'
import { background, Pages, violations } from './pages.ts'

/** What no file should be called. */
const NAME = '<img src=x onerror="globalThis.broken=1">.onnx'

/** A good engine, one with a wrong zero point, and one that lacks a kernel; every tensor. */
async function certificate(): Promise<Certificate> {
  const engine = nodeEngine({ threads: 1 })
  const plant = PLANTED_FAULTS.find(({ node }) => node === 'add')?.plant ?? (() => undefined)
  const lacking: Engine = {
    ...engine,
    load: () => Promise.reject(problem('ENGINE_LOAD', 'Could not find an implementation for QLinearConv(10)')),
  }
  const found = await verify(plantedNetwork('float'), plantedNetwork('quantized'), {
    engine,
    engines: [
      { name: 'good', engine },
      { name: 'faulty', engine: faultyEngine(engine, plant) },
      { name: 'lacking', engine: lacking },
    ],
    data: memoryData(plantedInputs(2)),
    intermediate: true,
    models: {
      float: { name: 'float.onnx', digest: 'a'.repeat(64) },
      quantized: { name: NAME, digest: 'b'.repeat(64) },
    },
  })
  return { ...found, command: `fewbit verify float.onnx '${NAME}' --html certificate.html` }
}

// `apt-get install chromium`, or CHROMIUM_PATH.
describe.skipIf(chromiumPath === undefined)('the certificate in Chromium, from a file', () => {
  const pages = new Pages()
  let html = ''
  beforeAll(async () => {
    html = renderCertificate(await certificate())
    await pages.start()
  })
  afterAll(() => pages.end())

  const tables = (page: Page) => page.getByRole('region')

  it('shows verdict, engines and the node, asks nobody for anything, and runs nothing that names hold', async () => {
    const page = await pages.open(html)
    expect(await page.locator('h1').textContent()).toBe(NAME)
    expect(await page.locator('h2').allTextContents()).toEqual([
      'Verdict',
      'faulty, float network',
      'faulty, quantized network',
      'lacking, float network',
      'lacking, quantized network',
      'What was verified',
    ])
    expect(await page.locator('.verdict').textContent()).toBe('The engines disagree.')
    const engines = page.getByRole('table', { name: 'Each engine beside the reference' })
    expect(await engines.locator('tbody th').allTextContents()).toEqual(['good (reference)', 'faulty', 'lacking'])
    const section = page.locator('section', { hasText: 'faulty, quantized network' })
    expect(await section.locator('p').first().textContent()).toMatch(/is add \(Add\), which makes add_out/)
    expect(await section.locator('strong').allTextContents()).toContain('zero-point')
    expect(await page.locator('section', { hasText: 'lacking, quantized' }).textContent()).toContain('it has no kernel')
    expect(await page.evaluate('globalThis.broken')).toBeUndefined()
    expect(pages.complaints).toEqual([])
    expect(pages.requests.map((url) => url.split(':')[0])).toEqual(['file'])
    await page.close()
  })

  it('has contrast and structure enough in light and in dark, and goes to paper in light', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await pages.open(html, { colorScheme })
      expect(await background(page)).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(16, 20, 26)')
      expect(await violations(page)).toEqual([])
      await page.emulateMedia({ media: 'print' })
      expect(await background(page)).toBe('rgb(255, 255, 255)')
      await page.close()
    }
  })

  it('is not wider than a phone, where tables are reached and moved by keys', async () => {
    const page = await pages.open(html, { viewport: { width: 390, height: 844 } })
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
    const labels = await tables(page).evaluateAll((all) => all.map((table) => table.getAttribute('aria-label')))
    const reached: unknown[] = []
    for (const _ of labels) {
      await page.keyboard.press('Tab')
      reached.push(await page.evaluate("document.activeElement.getAttribute('aria-label')"))
    }
    expect(reached).toEqual(labels)
    expect(await violations(page)).toEqual([])
    const engines = page.getByRole('region', { name: 'Each engine beside the reference' })
    await engines.focus()
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).not.toBe('none')
    await page.keyboard.press('ArrowRight')
    await expect.poll(() => engines.evaluate((table) => table.scrollLeft)).toBeGreaterThan(0)
    await page.close()
  })
})
