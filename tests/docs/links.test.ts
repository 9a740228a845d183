import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const below = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) => join('docs', path))
const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below].filter((p) =>
  p.endsWith('.md'),
)

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8')
const isThere = (path: string): boolean => existsSync(join(root, path))

/** Anchors of a page's headings, as GitHub makes them. */
const anchors = (page: string): string[] =>
  [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )

function isBroken(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  return !isThere(target) || (anchor !== undefined && !anchors(target).includes(anchor))
}

describe.each(pages)('%s', (page) => {
  const text = textOf(page)

  it('links only to what exists', () => {
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link as string)
    expect(links.filter((link) => !/^https?:/.test(link) && isBroken(page, link))).toEqual([])
  })

  it('names only files of the repository that exist', () => {
    const named = [...text.matchAll(/`((?:packages|tools|tests|bench|scripts|docs)\/[\w./-]+\.\w+)`/g)].map(
      ([, p]) => p,
    )
    expect((named as string[]).filter((path) => !isThere(path))).toEqual([])
  })

  it('names only npm scripts that exist', () => {
    const { scripts } = JSON.parse(textOf('package.json'))
    const named = [...text.matchAll(/\bnpm run ([a-z][\w:-]*)/g)].map(([, name]) => name as string)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
})
