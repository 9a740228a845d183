import { mixSeed, rng } from '../util/index.ts'

/** Streams of random numbers that are independent of each other. */
const SHUFFLE = 1
const MOVE = 2

/** The order in which an epoch sees the samples. */
export function epochOrder(size: number, seed: number, epoch: number): Uint32Array {
  const order = Array.from({ length: size }, (_, i) => i)
  return Uint32Array.from(rng(mixSeed(seed, SHUFFLE, epoch)).shuffle(order))
}

/** Random numbers for one sample in one epoch, whatever batch it stands in. */
export const sampleRandom = (seed: number, epoch: number, index: number) => rng(mixSeed(seed, MOVE, epoch, index))
