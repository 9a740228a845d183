import { decline, rule } from '../rule.ts'
import { type Bypass, bypass, canBypass } from '../surgery.ts'

/** Identity(x) = x. Stays where it is all that gives a graph input or a second output its output name. */
export const eliminateIdentity = rule<Bypass>({
  name: 'eliminate-identity',
  summary: 'remove operators that return their input',
  anchor: (node, cx) => cx.hasTrait(node, 'identity'),
  match: (node) => canBypass(node, node.inputs[0]),
  rewrite: bypass,
})

/**
 * Dropout(x) = x at inference. Since version 12 training is an input, false if omitted; before, inference is what the
 * operator does.
 */
export const eliminateDropout = rule<Bypass>({
  name: 'eliminate-dropout',
  summary: 'remove Dropout in inference mode',
  anchor: ['Dropout'],
  match(node, cx) {
    const mode = node.inputs[2]
    const flag = cx.constant(mode)
    if (mode && !flag) return decline('whether it trains is computed')
    return flag?.numbers()[0] ? decline('the Dropout is in training mode') : canBypass(node, node.inputs[0])
  },
  rewrite: bypass,
})
