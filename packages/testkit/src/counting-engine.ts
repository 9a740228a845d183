import type { Engine } from '@fewbit/core/engine'

/** An engine that counts the sessions that are loaded and not yet released. */
export function countingEngine(engine: Engine): { readonly engine: Engine; readonly open: () => number } {
  let open = 0
  const load: Engine['load'] = async (...args) => {
    const session = await engine.load(...args)
    open++
    const { inputs, outputs } = session
    const release = () => session.release().finally(() => open--)
    return { inputs, outputs, run: (...a) => session.run(...a), release }
  }
  return { engine: { ...engine, load }, open: () => open }
}
