import { attribute, type Node } from '../../ir/index.ts'
import { floatAttribute, hasOpenAttributes, intsAttribute, stringAttribute } from '../node-attributes.ts'
import { Decline, decline, rule } from '../rule.ts'
import { type RuleContext, shapeOf } from '../rule-context.ts'
import { soleProducer } from '../surgery.ts'

interface Match {
  readonly conv: Node
  readonly pad: Node
  readonly pads: readonly number[]
}

/** Conv pads with zeros: Conv(Pad(x, 0, p), pads q) = Conv(x, pads p + q), where p touches spatial dimensions only. */
export const fusePad = rule<Match>({
  name: 'fuse-pad',
  summary: 'move constant zero padding into the Conv behind it',
  anchor: ['Conv'],
  match(conv, cx) {
    if (conv.inputs[0]?.producer?.qualifiedType !== 'Pad') return undefined
    const pad = soleProducer(conv.inputs[0], conv, cx)
    if (pad === undefined || pad instanceof Decline) return pad
    const extra = spatialZeroPads(pad, cx)
    if (extra instanceof Decline) return extra
    const auto = stringAttribute(conv, 'auto_pad', 'NOTSET')
    if (auto !== 'NOTSET' && auto !== 'VALID') return decline(`the Conv pads by ${auto}`)
    const own = intsAttribute(conv, 'pads')
    return { conv, pad, pads: extra.map((p, i) => p + (own?.[i] ?? 0)) }
  },
  rewrite({ conv, pad, pads }) {
    conv.setInput(0, pad.inputs[0] ?? null)
    conv.attributes.delete('auto_pad')
    conv.attributes.set('pads', attribute.ints(pads))
    pad.graph?.remove(pad)
    return `took over the padding of "${pad.name}"`
  },
})

/** Pads in the order of Conv's attribute: begins, then ends, of the spatial dimensions. */
function spatialZeroPads(pad: Node, cx: RuleContext): number[] | Decline {
  if (hasOpenAttributes(pad)) return decline('an attribute of the Pad comes from the caller of the function')
  if (stringAttribute(pad, 'mode', 'constant') !== 'constant') return decline('the Pad does not fill with a constant')
  if (pad.inputs[3]) return decline('the Pad names its axes')
  const value = pad.inputs[2] ? cx.constant(pad.inputs[2])?.numbers()[0] : floatAttribute(pad, 'value', 0)
  if (value !== 0) return decline('the Pad fills with something else than zero')
  const pads = intsAttribute(pad, 'pads') ?? cx.constant(pad.inputs[1])?.integers()
  const rank = pads ? pads.length / 2 : shapeOf(pad.inputs[0])?.length
  if (!pads || rank === undefined) return decline('the amount of padding is computed')
  if (pads.some((p) => p < 0)) return decline('the Pad crops')
  if ([0, 1, rank, rank + 1].some((i) => pads[i] !== 0)) return decline('the Pad widens the batch or the channels')
  return [...pads.slice(2, rank), ...pads.slice(rank + 2)]
}
