import { problem } from '../../util/index.ts'
import { benchSchema, type QatBench, type QatBenchMemory } from './state.ts'

/** The table that an earlier run has left. @throws FewbitError BENCH_FORMAT */
export async function earlier(memory: QatBenchMemory | undefined): Promise<QatBench | undefined> {
  const found = await memory?.load()
  if (!found || !memory) return undefined
  const parsed = benchSchema.safeParse(found)
  if (parsed.success) return parsed.data
  throw problem('BENCH_FORMAT', 'the file holds no table of this benchmark', {
    at: { file: memory.name },
    fix: 'name another file',
  })
}

/**
 * A table, begun or new, with settings that its cells share from now on.
 * @param file for messages.
 * @throws FewbitError BENCH_SETTINGS where it has others.
 */
export function withSettings(table: QatBench | undefined, settings: QatBench['settings'], file?: string): QatBench {
  const known = table?.settings ?? {}
  const text = (value: unknown) => JSON.stringify(value)
  const different = Object.keys(settings).filter(
    (key) => known[key] !== undefined && text(known[key]) !== text(settings[key]),
  )
  if (different.length > 0) {
    throw problem('BENCH_SETTINGS', `the table was begun with other settings: ${different.join(', ')}`, {
      ...(file !== undefined && { at: { file } }),
      notes: different.map((key) => `${key}: ${text(known[key])} then, ${text(settings[key])} now`),
      fix: 'take the same ones to go on, or name another file',
    })
  }
  const empty: QatBench = { format: 'fewbit-qat-bench', version: 1, settings: {}, float: {}, cells: [] }
  return { ...(table ?? empty), settings: { ...known, ...settings } }
}
