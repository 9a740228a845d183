import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Dataset, Sample } from '@fewbit/core/engine'

/** The folder of real models and data; benchmarks cannot run without it. */
export const DATA = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url))

export function requireData(): void {
  if (existsSync(DATA)) return
  console.error(`this benchmark reads real models and data from ${DATA}; set FEWBIT_DATA to their folder`)
  process.exit(1)
}

/** The samples whose index passes a test. */
export function pick(data: Dataset, test: (index: number) => boolean): Dataset {
  const total = data.length ?? 0
  return {
    name: data.name,
    length: Array.from({ length: total }, (_, i) => i).filter(test).length,
    async *samples() {
      let i = 0
      for await (const sample of data.samples()) if (test(i++)) yield sample
    },
    toJSON: () => ({ ...data.toJSON(), picked: true }),
  }
}

/** A dataset over samples made elsewhere. */
export function fromSamples(name: string, samples: readonly Sample[]): Dataset {
  return {
    name,
    length: samples.length,
    async *samples() {
      yield* samples
    },
    toJSON: () => ({ kind: 'array', name, samples: samples.length }),
  }
}
