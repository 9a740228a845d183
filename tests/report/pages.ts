import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { launch } from './browser.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[]
}

/** Opens pages from files in Chromium, and remembers what they ask for and complain about. */
export class Pages {
  readonly complaints: string[] = []
  readonly requests: string[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'fewbit-pages-'))
  #browser: Browser | undefined

  async start(): Promise<void> {
    this.#browser = await launch()
  }

  async end(): Promise<void> {
    await this.#browser?.close()
    rmSync(this.#folder, { recursive: true })
  }

  async open(html: string, options: BrowserContextOptions = {}): Promise<Page> {
    const file = join(this.#folder, 'page.html')
    writeFileSync(file, html)
    if (!this.#browser) throw new Error('the browser was not started')
    const page = await this.#browser.newPage({ viewport: { width: 1280, height: 900 }, ...options })
    // Long enough for a browser that shares two cores with the other tests.
    page.setDefaultTimeout(30_000)
    page.on('console', (message) => this.complaints.push(message.text()))
    page.on('pageerror', (error) => this.complaints.push(String(error)))
    page.on('request', (request) => this.requests.push(request.url()))
    await page.goto(pathToFileURL(file).href)
    return page
  }
}

export const background = (page: Page) => page.evaluate('getComputedStyle(document.body).backgroundColor')

/** WCAG A and AA by axe-core. */
export async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const found = await page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })")
  return (found as { violations: Violation[] }).violations.map(
    ({ id, nodes }) => `${id}: ${nodes[0]?.target} ${nodes[0]?.failureSummary}`,
  )
}
