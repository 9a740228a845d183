import type { Cause } from '../cause.ts'

/** What the look at the data found that is not in the network's training. */
const CODES = ['DATA_RANGE', 'DATA_CHANNEL_ORDER']

export const inputMismatch: Cause = {
  name: 'input-mismatch',
  title: 'The data do not look like those of training',
  explanation:
    'The first layer sees values that are unlike what its normalization remembers: another range, other means or another order of channels. Every range that is measured on them is wrong.',
  level: 'error',
  find: ({ diagnostics }) =>
    diagnostics.flatMap(({ code, at, message }) =>
      CODES.includes(code)
        ? [{ at: at?.value ? { value: at.value } : {}, evidence: { finding: message }, severity: 1 }]
        : [],
    ),
  remedy: () => ({ text: 'preprocess as in training: --preset, --mean, --std, --range, --channels' }),
}
