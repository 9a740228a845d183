import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Plugin, problem } from '@fewbit/core'

/**
 * A plugin from an ES module that exports it as `plugin`. What it holds is checked when a verb takes it.
 * @throws FewbitError PLUGIN_MISSING for a path where nothing is; PLUGIN_LOAD for a module that throws, or exports no `plugin`.
 */
export async function loadPlugin(path: string): Promise<Plugin> {
  const at = { file: path, option: 'plugin' }
  const file = resolve(path)
  if (!existsSync(file)) {
    throw problem('PLUGIN_MISSING', 'there is no such plugin file', { at, fix: 'check the path' })
  }
  const exported = await importModule(file, at)
  if (exported.plugin !== undefined) return exported.plugin as Plugin
  const names = Object.keys(exported)
  throw problem('PLUGIN_LOAD', 'the module exports no "plugin"', {
    at,
    notes: [names.length > 0 ? `it exports ${names.join(', ')}` : 'it exports nothing'],
    fix: 'write: export const plugin = { name, ops, observers, targets, exporters }',
  })
}

async function importModule(file: string, at: { file: string; option: string }): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(file).href)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const fix = 'correct the module; its imports must be installed beside it'
    throw problem('PLUGIN_LOAD', `the plugin cannot be loaded: ${why}`, { at, fix }, cause)
  }
}
