/** The part of WebGPU that tells whether it is there; its full types come with no library that we use. */
interface WithGpu {
  readonly gpu?: { requestAdapter(): Promise<{ readonly info?: AdapterInfo } | null> }
}

export interface AdapterInfo {
  readonly vendor: string
  readonly architecture: string
  readonly description: string
}

const UNKNOWN: AdapterInfo = { vendor: '', architecture: '', description: '' }

/** What the adapter says of itself; undefined where there is none. Browsers keep some of it to themselves. */
export async function webGpuAdapter(): Promise<AdapterInfo | undefined> {
  const adapter = await (globalThis.navigator as WithGpu | undefined)?.gpu?.requestAdapter()
  if (!adapter) return undefined
  const { vendor, architecture, description } = adapter.info ?? UNKNOWN
  return { vendor, architecture, description }
}

export const hasWebGpu = async (): Promise<boolean> => (await webGpuAdapter()) !== undefined
