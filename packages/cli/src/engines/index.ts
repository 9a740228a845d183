import { integerEngine, SCHEMES } from '@fewbit/core/integer'
import type { VerifiedEngine } from '@fewbit/core/pipeline'
import { FewbitError, problem } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import type { EngineSource, OpenedEngine } from './engine-source.ts'
import { PYTHON_ENGINES } from './python.ts'
import { chromiumWasm, chromiumWebGpu, nodeWebGpu, wasm, webGpu } from './web.ts'

const nodeCpu: EngineSource = {
  summary: 'ONNX Runtime for Node on the processor',
  open: async () => ({ engine: nodeEngine() }),
}

const integers = Object.fromEntries(
  Object.values(SCHEMES).map((scheme): [string, EngineSource] => [
    `integer:${scheme.name}`,
    {
      summary: `${scheme.title}, in whole numbers`,
      // What simulates a backend by float nodes runs in whole numbers as well.
      open: async () => ({ engine: integerEngine(scheme, nodeEngine()), load: { optimization: 'all' } }),
    },
  ]),
)

/** Engines by the names that `--engines` takes. */
export const ENGINES: Readonly<Record<string, EngineSource>> = {
  'node-cpu': nodeCpu,
  wasm,
  webgpu: webGpu,
  'node-webgpu': nodeWebGpu,
  'chromium-wasm': chromiumWasm,
  'chromium-webgpu': chromiumWebGpu,
  ...integers,
  ...PYTHON_ENGINES,
}

/** Engines that are open together, by name. */
export interface OpenedEngines {
  readonly engines: readonly (VerifiedEngine & { readonly on?: string })[]
  close(): Promise<void>
}

/**
 * Opens engines in the order given.
 * @throws FewbitError ENGINE_UNKNOWN; what an engine that is not at hand says, with its name.
 */
export async function openEngines(names: readonly string[]): Promise<OpenedEngines> {
  checkEngineNames(names)
  const opened: { name: string; opened: OpenedEngine }[] = []
  const close = async () => {
    for (const each of opened.splice(0)) await each.opened.close?.()
  }
  try {
    for (const name of new Set(names)) opened.push({ name, opened: await openNamed(name) })
  } catch (error) {
    await close()
    throw error
  }
  const engines = opened.map(({ name, opened: { engine, load, on } }) => ({
    name,
    engine,
    ...(load && { load }),
    ...(on !== undefined && { on }),
  }))
  return { engines, close }
}

/** @throws FewbitError ENGINE_UNKNOWN, before anything is loaded. */
export function checkEngineNames(names: readonly string[]): void {
  const unknown = names.find((name) => !Object.hasOwn(ENGINES, name))
  if (unknown !== undefined) throw noSuchEngine(unknown)
}

async function openNamed(name: string): Promise<OpenedEngine> {
  try {
    return await (ENGINES[name] as EngineSource).open()
  } catch (error) {
    if (!(error instanceof FewbitError)) throw error
    const [first] = error.diagnostics
    throw problem('ENGINE_ABSENT', `the engine ${name} is not at hand: ${first?.message ?? error.message}`, {
      at: { option: 'engines' },
      ...(first?.fix && { fix: first.fix }),
    })
  }
}

const noSuchEngine = (name: string) =>
  problem('ENGINE_UNKNOWN', `there is no engine "${name}"`, {
    at: { option: 'engines' },
    fix: `choose from ${Object.keys(ENGINES).join(', ')}`,
  })
