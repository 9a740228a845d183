import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine, Feeds, LoadOptions } from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import type { KernelTime } from '@fewbit/core/pipeline'

/** A row of ONNX Runtime's trace, in the form of Chrome's. */
interface TraceEvent {
  readonly cat: string
  readonly name: string
  /** Microseconds. */
  readonly dur: number
  readonly args?: {
    readonly op_name?: string
    readonly provider?: string
    readonly node_index?: string
    readonly input_type_shape?: readonly Readonly<Record<string, unknown>>[]
    readonly output_type_shape?: readonly Readonly<Record<string, unknown>>[]
  }
}

const WARM_UP = 3
const RUNS = 20
const KERNEL = '_kernel_time'

/** Runs a model under ONNX Runtime's profiler. @returns its kernels in the order of the run, with the median time of each. */
export async function traceKernels(
  engine: Engine,
  model: Model,
  feeds: Feeds,
  load: LoadOptions = {},
): Promise<KernelTime[]> {
  const folder = await mkdtemp(join(tmpdir(), 'fewbit-trace-'))
  try {
    const session = await engine.load(model, { ...load, profile: join(folder, 'trace') })
    try {
      for (let i = 0; i < WARM_UP + RUNS; i++) await session.run(feeds)
    } finally {
      // The trace is written now.
      await session.release()
    }
    const [file] = await readdir(folder)
    return kernelTimes(JSON.parse(await readFile(join(folder, file as string), 'utf8')))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function kernelTimes(events: readonly TraceEvent[]): KernelTime[] {
  const kernels = new Map<string, TraceEvent[]>()
  for (const event of events) {
    if (event.cat !== 'Node' || !event.name.endsWith(KERNEL)) continue
    // Nodes of nested graphs have indices of their own.
    const key = `${event.args?.node_index} ${event.name}`
    kernels.set(key, [...(kernels.get(key) ?? []), event])
  }
  return [...kernels.values()].map((runs) => {
    const [{ name, args = {} }] = runs as [TraceEvent]
    const times = runs.slice(WARM_UP).map(({ dur }) => dur)
    times.sort((a, b) => a - b)
    return {
      name: name.slice(0, -KERNEL.length),
      opType: args.op_name ?? '',
      provider: args.provider ?? '',
      seconds: (times[times.length >> 1] ?? 0) / 1e6,
      reads: (args.input_type_shape ?? []).flatMap(Object.keys),
      makes: (args.output_type_shape ?? []).flatMap(Object.keys),
    }
  })
}
