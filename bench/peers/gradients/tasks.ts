import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Feeds } from '@fewbit/core/engine'
import { type Model, serializeModel, type Tensor } from '@fewbit/core/ir'
import { bytesOf, type TypedArray } from '@fewbit/core/util'

/** A network at a point, with our gradients of Σ ⟨seed, output⟩ there, by input or initializer. */
export interface PeerTask {
  readonly name: string
  readonly forward: Model
  readonly at: Feeds
  readonly seeds: Feeds
  readonly gradients: Feeds
}

/** Writes files of tasks that `compare.py` reads, one after another. */
export class TaskFolder {
  readonly #folder: string
  readonly #tasks: object[] = []
  #files = 0

  constructor(folder: string) {
    this.#folder = folder
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
  }

  add({ name, forward, at, seeds, gradients }: PeerTask): void {
    const model = `${this.#files++}.onnx`
    writeFileSync(join(this.#folder, model), serializeModel(forward))
    const [feeds, weights, ours] = [at, seeds, gradients].map((group) => this.#write(group))
    this.#tasks.push({ name, model, feeds, seeds: weights, gradients: ours })
  }

  #write(tensors: Feeds): Record<string, unknown> {
    return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, this.#tensor(tensor)]))
  }

  #tensor(tensor: Tensor): Record<string, unknown> {
    const file = `${this.#files++}.bin`
    writeFileSync(join(this.#folder, file), bytesOf(tensor.storage() as TypedArray))
    return { file, dtype: tensor.dtype, dims: tensor.dims }
  }

  close(): void {
    writeFileSync(join(this.#folder, 'tasks.json'), JSON.stringify(this.#tasks))
  }
}
