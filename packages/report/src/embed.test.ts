import { describe, expect, it } from 'vitest'
import { embedJson, escapeHtml, readEmbedded } from './embed.ts'

describe('a document inside of a script element', () => {
  it('comes back as it was, with infinities, NaN, and names that look like them', () => {
    const document = { a: [Infinity, -Infinity, Number.NaN, 0.1], name: 'NaN', nested: { b: null, c: 'Infinity' } }
    expect(readEmbedded(embedJson(document))).toEqual(document)
  })

  it('cannot end the element or open a comment, whatever names hold', () => {
    const json = embedJson({ '</script>': '<!--<script>', '\u2028': '</SCRIPT >' })
    expect(json).not.toContain('<')
    expect(readEmbedded(json)).toEqual({ '</script>': '<!--<script>', '\u2028': '</SCRIPT >' })
  })

  it('has its title escaped', () => {
    expect(escapeHtml('a<b>&"c"')).toBe('a&lt;b&gt;&amp;&quot;c&quot;')
  })
})
