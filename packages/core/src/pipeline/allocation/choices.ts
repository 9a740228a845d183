import { parseScheme, type Scheme, schemeRules, type Target } from '../../quant/index.ts'
import { type FewbitError, problem } from '../../util/index.ts'

/** Bits of what stays in float. */
export const FLOAT_BITS = 32

/**
 * The schemes that layers may have. A number changes the weights of the base scheme: beside `w8a8`, `4` is `w4a8`; `16` is `w16a16` where
 * the target has activations of 16 bits. `float` leaves a layer as it is. Whole schemes, such as `w4a4`, stand for themselves.
 * @param items as given, such as `4` or `float`.
 * @throws FewbitError ALLOCATE_BITS unless there are two or more that differ; SCHEME_*.
 */
export function choicesOf(items: readonly (string | number)[], base: string, target: Target): string[] {
  const choices = [...new Set(items.map((item) => choiceOf(String(item), parseScheme(base), target)))]
  if (choices.length < 2) throw badBits('there must be two or more choices', '4,8')
  for (const choice of choices) schemeRules(parseScheme(choice), target)
  if (choices.includes('float') && target.fallback === 'none') {
    throw badBits(`${target.title} runs integers only, so that nothing can stay in float`, '4,8')
  }
  return choices
}

function choiceOf(item: string, { weights, activations }: Scheme, target: Target): string {
  if (!/^\d+$/.test(item)) return parseScheme(item).name
  const isWide = item === '16' && activations !== undefined && target.bits.activations.includes(16)
  const bits = isWide ? 16 : activations?.bits
  const group = weights?.group
  return parseScheme(`w${item}${bits === undefined ? '' : `a${bits}`}${group ? `g${group}` : ''}`).name
}

const badBits = (why: string, example: string): FewbitError =>
  problem('ALLOCATE_BITS', `these bits leave nothing to allocate: ${why}`, {
    at: { option: 'bits' },
    fix: `write numbers, schemes or float, such as ${example}`,
  })
