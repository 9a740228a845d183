/** Where a training run keeps its checkpoint between runs. */
export interface TrainMemory {
  /** Names the place in messages, such as a file. */
  readonly name: string
  load(): Promise<Uint8Array | undefined>
  /** Replaces the last one as a whole. */
  save(checkpoint: Uint8Array): Promise<void>
}
