import { type Cause, placeOf, weightsOf } from '../cause.ts'

export const deadChannels: Cause = {
  name: 'dead-channels',
  title: 'Output channels have weights that are all zero',
  explanation: 'They cost size and time and give a constant. They do not make the quantized network worse.',
  level: 'info',
  find: (exam) =>
    weightsOf(exam).flatMap((tensor) => {
      const { min = [], max = [] } = tensor.channels ?? {}
      const dead = min.filter((lo, c) => lo === 0 && max[c] === 0)
      if (dead.length === 0) return []
      const evidence = { channels: dead.length, 'of all': min.length }
      return [{ at: placeOf(tensor), evidence, severity: dead.length }]
    }),
  remedy: () => ({ text: 'prune them before quantizing' }),
}
