import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Node } from './graph.ts'
import { NodeList } from './node-list.ts'

const node = (name: string) => new Node({ opType: 'X', name })

function listOf(names: string): { list: NodeList; at: (name: string) => Node } {
  const list = new NodeList()
  const nodes = new Map([...names].map((name) => [name, node(name)]))
  for (const n of nodes.values()) list.insert(n)
  return { list, at: (name) => nodes.get(name) as Node }
}

const visit = (walk: Iterable<Node>, on: Record<string, () => void>): string => {
  let seen = ''
  for (const n of walk) {
    seen += n.name
    on[n.name]?.()
  }
  return seen
}

describe('iteration while the list changes', () => {
  it('survives removal of the current, the next and earlier nodes', () => {
    const { list, at } = listOf('abcdef')
    const seen = visit(list, {
      b: () => {
        list.remove(at('b'))
        list.remove(at('c'))
        list.remove(at('a'))
      },
    })
    expect(seen).toBe('abdef')
    expect([...list].map((n) => n.name).join('')).toBe('def')
  })

  it('visits what is inserted after the current node and skips what is inserted before it', () => {
    const { list, at } = listOf('abc')
    const seen = visit(list, {
      b: () => {
        list.insert(node('y'), { after: at('b') })
        list.insert(node('x'), { before: at('b') })
      },
    })
    expect(seen).toBe('abyc')
  })

  it('goes backwards under removal', () => {
    const { list, at } = listOf('abcd')
    const seen = visit(list.reversed(), {
      c: () => {
        list.remove(at('c'))
        list.remove(at('b'))
      },
    })
    expect(seen).toBe('dca')
  })
})

describe('order numbers', () => {
  it('agree with the list after any edits (array as the model)', () => {
    const step = fc.tuple(fc.constantFrom('before', 'after', 'remove', 'reverse'), fc.nat(100))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const list = new NodeList()
        let model: Node[] = [node('0')]
        list.insert(model[0] as Node)
        for (const [kind, k] of steps) {
          const index = k % Math.max(1, model.length)
          const anchor = model[index]
          if (kind === 'reverse') {
            model = model.toReversed()
            list.reorder(model)
          } else if (kind === 'remove' && anchor) list.remove(...(model.splice(index, 1) as [Node]))
          else if (kind !== 'remove') {
            const fresh = node(String(k))
            list.insert(fresh, anchor ? { [kind]: anchor } : {})
            model.splice(anchor && kind === 'after' ? index + 1 : index, 0, fresh)
          }
          expect([...list]).toEqual(model)
          for (let i = 1; i < model.length; i++) {
            expect(list.isBefore(model[i - 1] as Node, model[i] as Node)).toBe(true)
          }
        }
      }),
    )
  })

  it('outlast halving of one gap', () => {
    const { list, at } = listOf('ab')
    for (let i = 0; i < 5000; i++) list.insert(node(`n${i}`), { after: at('a') })
    const nodes = [...list]
    for (let i = 1; i < nodes.length; i++) expect(list.isBefore(nodes[i - 1] as Node, nodes[i] as Node)).toBe(true)
  })
})
