import { expect, it } from 'vitest'
import { type Row, replaceRows } from './report.ts'

it('replaces rows that were measured again, in their places', () => {
  const row = (network: string, version: string): Row => ({ backend: 'a', title: 'A', target: 't', network, version })
  const rows = replaceRows([row('x', '1'), row('y', '1')], [row('z', '2'), row('x', '2')])
  expect(rows.map(({ network, version }) => network + version)).toEqual(['x2', 'y1', 'z2'])
})
