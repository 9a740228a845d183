import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { EXPORTERS } from '@fewbit/core/exporters'
import { expect, it } from 'vitest'

it('docs/exporters.md lists every exporter once, and no other', () => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/exporters.md', import.meta.url)), 'utf8')
  const listed = [...page.matchAll(/^\| \[?`([\w.-]+)`/gm)].map(([, name]) => name)
  expect(listed.sort()).toEqual(Object.keys(EXPORTERS).sort())
})
