/** How many samples a verb looks at where none are asked for. */
export const DEFAULT_SAMPLES = { analyze: 64, compare: 8, run: 8, verify: 8 } as const
